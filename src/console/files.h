// console/files.h - the pages' files, built from web/ and kept in the program, compressed. Threads:
// values.
#pragma once

#include <span>
#include <string_view>

namespace paceline::console {

struct WebFile {
  std::string_view name;          // "app.js"
  std::string_view content_type;  // "text/javascript; charset=utf-8"
  std::string_view tag;           // of the content, for If-None-Match
  std::string_view brotli, gzip, plain;
};
std::span<const WebFile> WebFiles();

}  // namespace paceline::console
