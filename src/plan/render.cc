// The texts that leave: a statement with its edits put in, and messages with the client's names.
#include <fmt/format.h>

#include "base/strings.h"
#include "plan/plan.h"

namespace paceline::plan {
namespace {

std::string ValueText(const Edit& edit, const SessionValues& values) {
  switch (edit.kind) {
    case EditKind::kText:
      return edit.text;
    case EditKind::kLastInsertId:
      return fmt::format("CAST({} AS UNSIGNED)", values.last_insert_id);
    case EditKind::kFoundRows:
      return fmt::format("CAST({} AS SIGNED)", values.found_rows);
    case EditKind::kRowCount:
      return fmt::format("CAST({} AS SIGNED)", values.row_count);
    case EditKind::kConnectionId:
      return fmt::format("CAST({} AS UNSIGNED)", values.connection_id);
    case EditKind::kUser:
      return QuoteText(values.user);
    case EditKind::kCurrentUser:
      return QuoteText(values.current_user);
    case EditKind::kWarningCount:
      return fmt::format("CAST({} AS UNSIGNED)", values.warning_count);
    case EditKind::kErrorCount:
      return fmt::format("CAST({} AS UNSIGNED)", values.error_count);
  }
  return edit.text;
}

bool IsNameByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '$' || static_cast<unsigned char>(c) >= 0x80;
}

}  // namespace

std::string_view Render(std::string_view text, const Plan& plan, const SessionValues& values,
                        std::string& buffer) {
  if (plan.edits.empty()) return text;
  buffer.clear();
  buffer.reserve(text.size() + 32 * plan.edits.size());
  uint32_t at = 0;
  for (const Edit& edit : plan.edits) {
    if (edit.at.offset < at) continue;
    buffer.append(text.substr(at, edit.at.offset - at));
    if (edit.kind == EditKind::kText) {
      buffer.append(edit.text);
    } else {
      // IF gives the column the type, length and nullability of the call itself; tried on both
      // flavors, where CAST or a bare literal does not.
      buffer.append("IF(1,").append(ValueText(edit, values)).append(",");
      buffer.append(edit.at.In(text)).append(")");
    }
    at = edit.at.end();
  }
  buffer.append(text.substr(at));
  return buffer;
}

std::string ToClientNames(std::string_view text, std::string_view database,
                          std::string_view keyspace) {
  std::string out;
  size_t from = 0;
  for (size_t at = text.find(database); at != std::string_view::npos && !database.empty();
       at = text.find(database, at + 1)) {
    const size_t end = at + database.size();
    // Part of a longer word: vt_ks2, my_vt_ks, vt_ks-2.
    if (at < from || (at > 0 && (IsNameByte(text[at - 1]) || text[at - 1] == '-')) ||
        (end < text.size() && (IsNameByte(text[end]) || text[end] == '-'))) {
      continue;
    }
    out.append(text.substr(from, at - from)).append(keyspace);
    from = end;
  }
  out.append(text.substr(from));
  return out;
}

}  // namespace paceline::plan
