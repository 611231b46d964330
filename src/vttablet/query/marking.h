// vttablet/query/marking.h - how what a statement writes gets its attempt's number into the binary
// log (docs/decisions/0008-attempts.md). MySQL: the connection's pseudo_thread_id, which every
// transaction carries; on reserved connections, whose temporary tables are found by it, and on
// MariaDB: a comment in front of the text, which the log keeps; for a CALL, whose text it does not
// keep, one bit (skip_replication). Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vttablet/query/connection.h"
#include "vttablet/query/pinned.h"

namespace paceline::vttablet {

struct Marking {
  uint32_t number = 0;  // of the attempt that this statement belongs to; 0: none
  // MySQL: not 0: pseudo_thread_id becomes this first, the number or the connection's own.
  uint32_t set_thread = 0;
  // MariaDB: skip_replication becomes this first. It is how the log tells what a CALL wrote, whose
  // inner statements carry no number: replicas take it like all else, and keep the bit.
  std::optional<bool> set_procedure;
  bool comment = false;  // the text gets the number's marker in front

  bool Sets() const { return set_thread != 0 || set_procedure.has_value(); }
  // "SET @@session.pseudo_thread_id = 2147483655". REQUIRES: Sets().
  std::string SetText() const;
  // The text is on its way.
  void NoteSet(Connection& connection);
};

// `pinned`: null for a connection of the pool. A transaction keeps the number that it began with.
// An unmarked statement never runs under the number of an earlier one.
Marking MarkingOf(const Connection& connection, const port::QueryRequest& request,
                  const Pinned* pinned);

// By its first word; what is not known counts as a write.
bool OnlyReads(std::string_view text);

}  // namespace paceline::vttablet
