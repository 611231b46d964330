#include "web/html.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>

namespace paceline::web {
namespace {

constexpr std::string_view kStyle =
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:80rem;padding:1rem}"
    "h1{font-size:1.6rem}nav ul{display:flex;flex-wrap:wrap;gap:.25rem 1.25rem;list-style:none;"
    "padding:0}.wide{overflow-x:auto}table{border-collapse:collapse;margin:1rem 0}"
    "caption{font-size:1.2rem;font-weight:600;padding:.25rem 0;text-align:left}"
    "td,th{border:1px solid #8888;padding:.25rem .6rem;text-align:left;vertical-align:top;"
    "overflow-wrap:anywhere}thead th{background:#8882}"
    ".good::before{content:\"\\2713\\00a0\";color:#2a7}.bad{font-weight:600}"
    ".bad::before{content:\"\\2717\\00a0\";color:#c33}"
    "[role=alert]{border:2px solid #c33;padding:.5rem 1rem}";

std::string_view ToneClass(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return " class=\"good\"";
    case Tone::kBad:
      return " class=\"bad\"";
    case Tone::kPlain:
      break;
  }
  return "";
}

void AppendTable(std::string& out, const Table& table) {
  fmt::format_to(std::back_inserter(out),
                 "<div class=\"wide\" role=\"region\" aria-label=\"{0}\" tabindex=\"0\">"
                 "<table>\n<caption>{0}</caption>\n",
                 HtmlEscape(table.title));
  if (!table.columns.empty()) {
    out += "<thead><tr>";
    for (const std::string& column : table.columns) {
      fmt::format_to(std::back_inserter(out), "<th scope=\"col\">{}</th>", HtmlEscape(column));
    }
    out += "</tr></thead>\n";
  }
  out += "<tbody>\n";
  for (const std::vector<Cell>& row : table.rows) {
    out += "<tr>";
    for (size_t i = 0; i < row.size(); ++i) {
      const std::string text = HtmlEscape(row[i].text);
      if (i == 0) {
        fmt::format_to(std::back_inserter(out), "<th scope=\"row\">{}</th>", text);
      } else {
        fmt::format_to(std::back_inserter(out), "<td{}>{}</td>", ToneClass(row[i].tone), text);
      }
    }
    out += "</tr>\n";
  }
  if (table.rows.empty()) {
    fmt::format_to(std::back_inserter(out), "<tr><td colspan=\"{}\">{}</td></tr>\n",
                   std::max<size_t>(1, table.columns.size()), HtmlEscape(table.when_empty));
  }
  out += "</tbody></table></div>\n";
}

}  // namespace

std::string HtmlEscape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        // Control bytes are no HTML characters.
        out += static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

std::string RenderPage(const Page& page, std::string_view path) {
  std::string up;
  for (const char c : path.substr(std::min<size_t>(1, path.size()))) up += c == '/' ? "../" : "";
  if (up.empty()) up = "./";
  std::string out = fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<link rel=\"icon\" href=\"data:,\">\n"
      "<title>{0}</title>\n<style>{1}</style>\n</head>\n<body>\n<header><h1>{0}</h1>\n"
      "<nav aria-label=\"Pages\"><ul>",
      HtmlEscape(page.title), kStyle);
  for (const Link& link : page.links) {
    fmt::format_to(std::back_inserter(out), "<li><a href=\"{}{}\">{}</a></li>", up,
                   HtmlEscape(link.path), HtmlEscape(link.text));
  }
  out += "</ul></nav></header>\n<main>\n";
  if (!page.notice.empty()) {
    fmt::format_to(std::back_inserter(out), "<p role=\"alert\">{}</p>\n", HtmlEscape(page.notice));
  }
  for (const Table& table : page.tables) AppendTable(out, table);
  return out + "</main>\n</body>\n</html>\n";
}

std::string WallText(WallTime time) {
  if (time.unix_ns == 0) return "";
  const time_t seconds = time.unix_ns / 1'000'000'000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC", parts.tm_year + 1900,
                     parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::string UptimeText(Duration uptime) {
  const int64_t seconds = uptime / 1s;
  const std::string clock =
      fmt::format("{:02}:{:02}:{:02}", seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
  return seconds < 86400 ? clock : fmt::format("{}d {}", seconds / 86400, clock);
}

}  // namespace paceline::web
