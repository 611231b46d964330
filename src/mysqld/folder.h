// mysqld/folder.h - files and folders that belong to mysqld's user. Each call blocks for
// milliseconds.
#pragma once

#include <string>

#include "base/error.h"

namespace paceline::mysqld {

// Errors of all: kResourceExhausted (disk full), kPermissionDenied (read-only or not ours), naming
// the path. `owner`: the user that gets them when we are root; "" leaves them ours.
Status MakeFolder(const std::string& path, const std::string& owner);
// The file or folder belongs to `owner` from now on.
Status GiveTo(const std::string& path, const std::string& owner);
// Makes names that came or went in it durable.
Status SyncFolder(const std::string& path);
// By rename, with fsync of file and folder. Mode 0640.
Status WriteFileDurably(const std::string& path, const std::string& text, const std::string& owner);
// Creates an empty file where there is none.
Status TouchFile(const std::string& path, const std::string& owner);
// "" when it cannot be read. At most `bytes_max` from `offset` on.
std::string ReadFileFrom(const std::string& path, uint64_t offset, size_t bytes_max);
Status RemoveTree(const std::string& path);
bool IsEmptyFolder(const std::string& path);  // also true when absent
// Whether `folder` takes a new file and has at least `bytes_min` free.
Status CheckWritable(const std::string& folder, uint64_t bytes_min);

}  // namespace paceline::mysqld
