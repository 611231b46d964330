#include "vttablet/query/marking.h"

#include <algorithm>

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

// Whether `text` names the system variable: no user variable, no part of a longer word, no text.
bool NamesVariable(std::string_view text, std::string_view lower) {
  auto same = [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; };
  for (auto from = text.begin();; ++from) {
    from = std::search(from, text.end(), lower.begin(), lower.end(), same);
    if (from == text.end()) return false;
    std::string_view before = text.substr(0, static_cast<size_t>(from - text.begin()));
    std::string_view after = text.substr(before.size() + lower.size());
    if (before.ends_with('`')) before.remove_suffix(1);
    const bool part = (!before.empty() && IsWordByte(before.back())) ||
                      (!after.empty() && IsWordByte(after.front()));
    const bool quoted = before.ends_with('\'') || before.ends_with('"');
    const bool users = before.ends_with('@') && !before.ends_with("@@");
    if (!part && !quoted && !users) return true;
  }
}

}  // namespace

std::string Marking::SetText() const {
  return fmt::format("SET @@session.pseudo_thread_id = {}", set_thread);
}

bool OnlyReads(std::string_view text) {
  std::string_view word = FirstWord(text);
  for (std::string_view one : {"select", "show", "explain", "describe", "desc"}) {
    if (EqualsIgnoreCase(word, one)) return true;
  }
  return false;
}

bool TouchesReplication(std::string_view text) {
  if (!EqualsIgnoreCase(FirstWord(text), "set")) return false;
  for (std::string_view name :
       {"sql_log_bin", "pseudo_thread_id", "pseudo_slave_mode", "pseudo_replica_mode", "gtid_next",
        "gtid_seq_no", "gtid_domain_id", "server_id", "binlog_format", "skip_replication",
        "binlog_row_image", "binlog_annotate_row_events"}) {
    if (NamesVariable(text, name)) return true;
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
