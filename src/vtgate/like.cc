#include "vtgate/like.h"

#include "base/strings.h"

namespace paceline::vtgate {

bool MatchesLike(std::string_view text, std::string_view pattern) {
  // One place to come back to is enough: a later '%' makes earlier ones irrelevant, so this is
  // linear times pattern.
  size_t t = 0, p = 0;
  size_t star_p = std::string_view::npos, star_t = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '%') {
      star_p = ++p;
      star_t = t;
      continue;
    }
    bool escaped = p + 1 < pattern.size() && pattern[p] == '\\';
    bool any = p < pattern.size() && pattern[p] == '_';
    char wanted = escaped ? pattern[p + 1] : p < pattern.size() ? pattern[p] : '\0';
    if (p < pattern.size() && (any || EqualsIgnoreCase(text.substr(t, 1), {&wanted, 1}))) {
      p += escaped ? 2 : 1;
      ++t;
    } else if (star_p != std::string_view::npos) {
      p = star_p;
      t = ++star_t;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '%') ++p;
  return p == pattern.size();
}

}  // namespace paceline::vtgate
