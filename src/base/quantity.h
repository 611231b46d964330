// base/quantity.h - amounts of bytes as people and Kubernetes write them: "512Mi" and "40Gi" are
// powers of 1024, "500M" and "20G" of 1000. Threads: pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline {

// Whole or with a fraction ("1.5Gi"), units K, M, G, T, P with or without "i", or none. Errors:
// kInvalidArgument.
Result<uint64_t> ParseBytes(std::string_view text);
// For people: "1.5 GB", by powers of 1024.
std::string BytesText(double bytes);
// As ParseBytes and Kubernetes read it, without loss: "40Gi", "1500Mi", "1000".
std::string FormatBytes(uint64_t bytes);

}  // namespace paceline
