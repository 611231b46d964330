#include "vttablet/query/marking.h"

#include "base/strings.h"
#include "mysql/binlog/marker.h"

namespace paceline::vttablet {
namespace {

bool IsWordByte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// The first word, behind white space, comments and parentheses.
std::string_view FirstWord(std::string_view text) {
  while (!text.empty()) {
    if (text.starts_with("/*") && !text.starts_with("/*!") && !text.starts_with("/*M!")) {
      size_t end = text.find("*/", 2);
      if (end == std::string_view::npos) return {};
      text.remove_prefix(end + 2);
    } else if (text[0] == '#' || text.starts_with("-- ") || text.starts_with("--\n")) {
      size_t end = text.find('\n');
      if (end == std::string_view::npos) return {};
      text.remove_prefix(end + 1);
    } else if (text[0] == ' ' || text[0] == '(' || (text[0] >= '\t' && text[0] <= '\r')) {
      text.remove_prefix(1);
    } else {
      break;
    }
  }
  size_t size = 0;
  while (size < text.size() && IsWordByte(text[size])) ++size;
  return text.substr(0, size);
}

}  // namespace

std::string Marking::SetText() const {
  if (set_procedure)
    return fmt::format("SET @@session.skip_replication = {}", *set_procedure ? 1 : 0);
  return fmt::format("SET @@session.pseudo_thread_id = {}", set_thread);
}

void Marking::NoteSet(Connection& connection) {
  if (set_procedure) {
    connection.SetMarkedProcedure(*set_procedure);
  } else {
    connection.SetMarked(set_thread);
  }
  set_procedure.reset();
  set_thread = 0;
}

bool OnlyReads(std::string_view text) {
  std::string_view word = FirstWord(text);
  for (std::string_view one : {"select", "show", "explain", "describe", "desc"}) {
    if (EqualsIgnoreCase(word, one)) return true;
  }
  return false;
}

Marking MarkingOf(const Connection& connection, const port::QueryRequest& request,
                  const Pinned* pinned) {
  const bool in_transaction = pinned != nullptr && pinned->in_transaction;
  const bool was_reserved = pinned != nullptr && pinned->reserved;
  Marking marking;
  marking.number = in_transaction && pinned->attempt != 0 ? pinned->attempt : request.attempt;
  // A client's own comment must not pass for a marker.
  const bool forged = mysql::binlog::MarkerIn(request.text) != 0;
  const bool writes = marking.number != 0 && !OnlyReads(request.text);
  if (connection.is_mariadb()) {
    marking.comment = writes || forged;
    // Inside a transaction it cannot be changed.
    if (!connection.can_mark() || in_transaction) return marking;
    const bool calls =
        writes && request.begin.empty() && EqualsIgnoreCase(FirstWord(request.text), "call");
    if (calls) marking.comment = forged;
    if (calls != (connection.marked() != 0)) marking.set_procedure = calls;
    return marking;
  }
  marking.comment = forged;
  if (!connection.can_mark()) return marking;
  uint32_t wanted = marking.number;
  if (request.reserve || was_reserved) {
    // Temporary tables are found by pseudo_thread_id: it stays as it is from here on.
    marking.comment = marking.comment || (writes && connection.marked() != marking.number);
    if (was_reserved || in_transaction) return marking;
    wanted = 0;
  } else if (in_transaction && wanted == 0) {
    return marking;
  }
  if (connection.marked() != wanted)
    marking.set_thread = wanted != 0 ? wanted : connection.thread_id();
  return marking;
}

}  // namespace paceline::vttablet
