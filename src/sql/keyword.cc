#include "sql/keyword.h"

#include <array>
#include <type_traits>

namespace paceline::sql {
namespace {

constexpr std::string_view kWords[] = {"",
#define PACELINE_SQL_KEYWORD(name, word) word,
                                       PACELINE_SQL_KEYWORDS(PACELINE_SQL_KEYWORD)
#undef PACELINE_SQL_KEYWORD
};
constexpr size_t kSlots = 2048;
constexpr size_t kLongest = 40;

// Identifier bytes fold their case by setting one bit; '_' becomes a byte that no identifier has.
constexpr uint8_t Fold(char c) { return static_cast<uint8_t>(c) | 0x20; }

// The first and the last eight bytes (overlapping; four of shorter words), read as words where the
// compiler runs it.
constexpr uint64_t Load(const char* at, size_t bytes) {
  uint64_t word = 0;
  if (std::is_constant_evaluated()) {
    for (size_t i = 0; i < bytes; ++i) word |= uint64_t{static_cast<uint8_t>(at[i])} << (8 * i);
  } else if (bytes == 8) {
    __builtin_memcpy(&word, at, 8);
  } else if (bytes == 4) {
    __builtin_memcpy(&word, at, 4);
  } else {
    __builtin_memcpy(&word, at, 2);
  }
  return word | (0x2020202020202020ull >> (64 - 8 * bytes));
}

// REQUIRES: at least two bytes.
constexpr uint32_t HashOf(std::string_view word) {
  const size_t n = word.size();
  const size_t take = n >= 8 ? 8 : n >= 4 ? 4 : 2;
  const uint64_t head = Load(word.data(), take);
  const uint64_t tail = Load(word.data() + n - take, take);
  const uint64_t mixed = (head * 0x9E3779B97F4A7C15ull) ^ ((tail + n) * 0xC2B2AE3D27D4EB4Full);
  return static_cast<uint32_t>((mixed ^ (mixed >> 29)) >> 20) & (kSlots - 1);
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
    if (i == word.size()) [[likely]]
      return static_cast<Keyword>(kTable.slot[at]);
  }
  return Keyword::kNone;
}

std::string_view KeywordText(Keyword keyword) { return kWords[static_cast<size_t>(keyword)]; }

}  // namespace paceline::sql
