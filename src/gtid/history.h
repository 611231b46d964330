// gtid/history.h - what a MariaDB position says beyond its own words, once the takeovers of a shard
// are known. A MariaDB replica that was cloned knows only "0-2-7". That this includes 0-1-5 is
// known to whoever journaled at which position server 2 became primary (_vt.reparent_journal):
// server 2 wrote in domain 0 only on top of that position.
#pragma once

#include <cstdint>
#include <vector>

#include "gtid/set.h"

namespace paceline::gtid {

struct Takeover {
  uint32_t server_id = 0;
  Set position;  // all that the server had when it opened for writes
};

// `set` and all that it implies: for each takeover whose server has in `set` a sequence, in some
// domain, above every one that `position` holds in that domain, `position` in that domain is
// included. MySQL sets come back unchanged. Sound as long as gtid_strict_mode is on and the
// takeovers are true.
Set WithHistory(Set set, const std::vector<Takeover>& takeovers);

}  // namespace paceline::gtid
