#include "sql/keyword.h"

#include <array>

namespace paceline::sql {
namespace {

constexpr std::string_view kWords[] = {
    "",
#define PACELINE_SQL_KEYWORD(name, word) word,
    PACELINE_SQL_KEYWORDS(PACELINE_SQL_KEYWORD)
#undef PACELINE_SQL_KEYWORD
};
constexpr size_t kSlots = 2048;
constexpr size_t kLongest = 40;

// Identifier bytes fold their case by setting one bit; '_' becomes a byte that no identifier has.
constexpr uint8_t Fold(char c) { return static_cast<uint8_t>(c) | 0x20; }

constexpr uint32_t HashOf(std::string_view word) {
  const size_t n = word.size();
  uint64_t head = 0, tail = 0;
  const size_t take = n < 8 ? n : 8;
  for (size_t i = 0; i < take; ++i) {
    head = head << 8 | Fold(word[i]);
    tail = tail << 8 | Fold(word[n - 1 - i]);
  }
  const uint64_t mixed = (head * 0x9E3779B97F4A7C15ull) ^ (tail * 0xC2B2AE3D27D4EB4Full) ^ n;
  return static_cast<uint32_t>(mixed >> 40) & (kSlots - 1);
}

struct Slots {
  std::array<uint16_t, kSlots> slot{};
};

constexpr Slots Build() {
  Slots slots;
  for (uint16_t i = 1; i < std::size(kWords); ++i) {
    uint32_t at = HashOf(kWords[i]);
    while (slots.slot[at] != 0) at = (at + 1) & (kSlots - 1);
    slots.slot[at] = i;
  }
  return slots;
}
constexpr Slots kTable = Build();

}  // namespace

Keyword FindKeyword(std::string_view word) {
  if (word.size() < 2 || word.size() > kLongest) return Keyword::kNone;
  for (uint32_t at = HashOf(word); kTable.slot[at] != 0; at = (at + 1) & (kSlots - 1)) {
    const std::string_view candidate = kWords[kTable.slot[at]];
    if (candidate.size() != word.size()) continue;
    size_t i = 0;
    while (i < word.size() && Fold(word[i]) == Fold(candidate[i])) ++i;
    if (i == word.size()) return static_cast<Keyword>(kTable.slot[at]);
  }
  return Keyword::kNone;
}

std::string_view KeywordText(Keyword keyword) { return kWords[static_cast<size_t>(keyword)]; }

}  // namespace paceline::sql
