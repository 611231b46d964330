// rpc/pem.h - certificate files, as gRPC wants their text.
#pragma once

#include <string>

#include "base/error.h"

namespace paceline::rpc {

// Errors: kInvalidArgument naming the file.
Result<std::string> ReadPem(const std::string& path);

}  // namespace paceline::rpc
