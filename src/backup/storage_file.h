// backup/storage_file.h - a storage in a folder, mounted wherever backups are made and read.
#pragma once

#include "backup/storage.h"

namespace paceline::backup {

// The folder must exist: a mount that is missing must not become a folder of the same name.
Result<std::unique_ptr<Storage>> OpenFileStorage(const std::string& root);

}  // namespace paceline::backup
