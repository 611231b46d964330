// mysqlctl/history.h - the durable note whether a dead primary's log may be cut: all that its
// sessions were told stands on a replica, and what was not told is only prepared. That holds while
// semi-sync is on with durable settings, once a commit was acknowledged since it was switched on or
// mysqld was started; a clean stop or "off" releases sessions that wait, and ends it. What is done
// to semi-sync behind vttablet's back stands in mysqld's error log.
#pragma once

#include "mysqld/config.h"

namespace paceline::mysqlctl {

struct History {
  bool on = false;         // semi-sync, durable
  bool confirmed = false;  // and a commit was acknowledged since
  uint64_t log_bytes = 0;  // of error.log when it was
  bool AllowsRewind() const { return on && confirmed; }
  friend bool operator==(const History&, const History&) = default;
};

// Not known reads as not allowed.
History ReadHistory(const mysqld::Layout& layout);
// Whether mysqld itself tells, behind that place of its error log, that semi-sync was off for a
// while: by a person's hand, or by a timeout. Sessions were told then of what nobody acknowledged.
// A log that is shorter than it was tells nothing, and counts as such.
bool WasReleased(const mysqld::Layout& layout, const History& history);
// With fsync before it returns.
Status WriteHistory(const mysqld::Layout& layout, const History& history, const std::string& owner);

}  // namespace paceline::mysqlctl
