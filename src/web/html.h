// web/html.h - plain, accessible HTML made on the server: no script, no link that leaves the page's
// own path prefix. All text is escaped here. Threads: values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/time.h"

namespace paceline::web {

std::string HtmlEscape(std::string_view text);

enum class Tone : uint8_t { kPlain, kGood, kBad };  // beside the text, never instead of it

struct Cell {
  Cell(std::string text, Tone tone = Tone::kPlain) : text(std::move(text)), tone(tone) {}
  Cell(const char* text) : text(text) {}
  std::string text;
  Tone tone = Tone::kPlain;
};

// A section of a page. Without columns, its rows are pairs of a name and a value.
struct Table {
  std::string title;
  std::vector<std::string> columns;
  std::vector<std::vector<Cell>> rows;
  std::string when_empty = "none";
};

struct Link {
  std::string text;
  std::string path;  // "debug/vars": from the root, without a slash before
};

struct Page {
  std::string title;
  std::string notice;  // a problem, shown before all else
  std::vector<Link> links;
  std::vector<Table> tables;
};

// `path`: where the page is served ("/debug/status"); links climb from there, so that they also
// work below a prefix that we do not know.
std::string RenderPage(const Page& page, std::string_view path);

// "2026-11-22 22:57:44 UTC"; empty for zero.
std::string WallText(WallTime time);
// "3d 04:05:06"
std::string UptimeText(Duration uptime);

}  // namespace paceline::web
