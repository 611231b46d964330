// io/file.h - small files that must survive a crash. Blocks: for starts, transitions and blocking
// threads.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::io {

// Replaces `file` with `text`, making its folder if need be: what is seen after a crash is the old
// or the new whole, and it is on disk when this returns. Errors, naming the file:
// kResourceExhausted (no room, inodes or quota), kDataLoss (read-only file system, I/O error), else
// kUnavailable.
Status ReplaceFile(const std::string& file, std::string_view text);

}  // namespace paceline::io
