#include "value/charset.h"

#include <algorithm>
#include <array>
#include <string>
#include <unordered_map>

#include "base/strings.h"
#include "value/collation_table.h"

namespace paceline::value {
namespace {

// MariaDB composes the ids of its uca1400 family: 2048 + 256 * character set + 8 * tailoring +
// variant.
constexpr CollationId kUca1400First = 2048;
constexpr std::array<std::string_view, 5> kUca1400Charsets = {"utf8mb3", "utf8mb4", "ucs2", "utf16",
                                                              "utf32"};
constexpr std::array<std::string_view, 25> kUca1400Tailorings = {
    "",         "icelandic", "latvian",    "romanian",  "slovenian", "polish",     "estonian",
    "spanish",  "swedish",   "turkish",    "czech",     "danish",    "lithuanian", "slovak",
    "spanish2", "roman",     "persian",    "esperanto", "hungarian", "sinhala",    "german2",
    "-",        "-",         "vietnamese", "croatian"};
constexpr std::array<std::string_view, 8> kUca1400Variants = {
    "ai_ci", "ai_cs", "as_ci", "as_cs", "nopad_ai_ci", "nopad_ai_cs", "nopad_as_ci", "nopad_as_cs"};

struct Index {
  std::unordered_map<CollationId, std::string> name_by_id;
  std::unordered_map<std::string, CollationId> id_by_name;

  void Add(CollationId id, std::string name) {
    id_by_name.try_emplace(name, id);
    name_by_id.try_emplace(id, std::move(name));
  }
};

Index BuildIndex() {
  Index index;
  for (size_t i = 0; i < kCollationCount; ++i) {
    index.Add(kCollationTable[i].id, kCollationTable[i].name);
  }
  for (size_t charset = 0; charset < kUca1400Charsets.size(); ++charset) {
    for (size_t tailoring = 0; tailoring < kUca1400Tailorings.size(); ++tailoring) {
      if (kUca1400Tailorings[tailoring] == "-") continue;
      for (size_t variant = 0; variant < kUca1400Variants.size(); ++variant) {
        std::string name = std::string(kUca1400Charsets[charset]) + "_uca1400_";
        if (tailoring != 0) name += std::string(kUca1400Tailorings[tailoring]) + "_";
        name += kUca1400Variants[variant];
        index.Add(static_cast<CollationId>(kUca1400First + 256 * charset + 8 * tailoring + variant),
                  std::move(name));
      }
    }
  }
  // MariaDB's own names for ids that MySQL calls <charset>_croatian_ci.
  index.id_by_name.emplace("utf16_croatian_mysql561_ci", 122);
  index.id_by_name.emplace("ucs2_croatian_mysql561_ci", 149);
  index.id_by_name.emplace("utf32_croatian_mysql561_ci", 181);
  index.id_by_name.emplace("utf8mb3_croatian_mysql561_ci", 213);
  index.id_by_name.emplace("utf8mb4_croatian_mysql561_ci", 245);
  return index;
}

const Index& TheIndex() {
  static const Index* const index = new Index(BuildIndex());
  return *index;
}

}  // namespace

std::string_view CollationName(CollationId id) {
  const auto& names = TheIndex().name_by_id;
  auto it = names.find(id);
  return it == names.end() ? std::string_view() : std::string_view(it->second);
}

std::optional<CollationId> CollationByName(std::string_view name) {
  std::string key = Lower(name);
  if (key.starts_with("utf8_")) key.replace(0, 4, "utf8mb3");
  const auto& ids = TheIndex().id_by_name;
  auto it = ids.find(key);
  if (it == ids.end()) return std::nullopt;
  return it->second;
}

std::string_view CharsetOfCollation(CollationId id) {
  std::string_view name = CollationName(id);
  return name.substr(0, name.find('_'));
}

std::optional<Charset> CharsetByName(std::string_view name) {
  if (EqualsIgnoreCase(name, "utf8")) name = "utf8mb3";
  const CharsetRow* end = kCharsetTable + kCharsetCount;
  const CharsetRow* row = std::find_if(
      kCharsetTable, end, [&](const CharsetRow& r) { return EqualsIgnoreCase(r.name, name); });
  if (row == end) return std::nullopt;
  return Charset{row->name, row->max_bytes, row->mysql_default, row->mariadb_default, row->binary};
}

std::optional<CollationId> DefaultCollation(std::string_view charset, bool mariadb) {
  std::optional<Charset> found = CharsetByName(charset);
  if (!found) return std::nullopt;
  CollationId id = mariadb ? found->mariadb_default : found->mysql_default;
  if (id == 0) return std::nullopt;
  return id;
}

}  // namespace paceline::value
