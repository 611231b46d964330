// mysqlctl/history.h - the durable note whether a dead primary's log may be cut: all that its
// sessions were told stands on a replica, and what was not told is only prepared. That holds while
// semi-sync is on with durable settings, once a commit was acknowledged since it was switched on or
// mysqld was started; a clean stop or "off" releases sessions that wait, and ends it.
#pragma once

#include "mysqld/config.h"

namespace paceline::mysqlctl {

struct History {
  bool on = false;         // semi-sync, durable
  bool confirmed = false;  // and a commit was acknowledged since
  bool AllowsRewind() const { return on && confirmed; }
  friend bool operator==(const History&, const History&) = default;
};

// Not known reads as not allowed.
History ReadHistory(const mysqld::Layout& layout);
// With fsync before it returns.
Status WriteHistory(const mysqld::Layout& layout, const History& history, const std::string& owner);

}  // namespace paceline::mysqlctl
