// backup/retention.h - when a shard's next backup is due, and which of its old ones may go. Pure.
#pragma once

#include <string>
#include <vector>

#include "backup/catalog.h"

namespace paceline::backup {

struct BackupRules {
  Duration every{0};       // zero: nobody makes backups by himself
  int64_t keep_count = 0;  // complete ones of a shard, the newest; zero: any number
  Duration keep_age{0};    // those younger stay, however many; zero: no age
  // One of the backups of each such time is verified; zero: only when asked.
  Duration verify_every{0};
  bool any() const {
    return every > Duration(0) || keep_count > 0 || keep_age > Duration(0) ||
           verify_every > Duration(0);
  }
};

// Those of a shard, oldest first, that may go: neither among the newest `keep_count` nor younger
// than `keep_age`; where one of both is not set the other alone decides. Those found bad do not
// count, and go with their neighbours. The newest usable one stays.
std::vector<std::string> Expired(const std::vector<BackupEntry>& entries, const BackupRules& rules,
                                 WallTime now);
// Whether a shard's newest usable backup is older than `every`. One that was found bad is replaced
// before its time, but not at once: the next may be as bad.
bool IsDue(const std::vector<BackupEntry>& entries, const BackupRules& rules, WallTime now);
// The newest backup, where it was not verified yet and none of the last `verify_every` was; empty:
// none.
std::string ToVerify(const std::vector<BackupEntry>& entries, const BackupRules& rules);

}  // namespace paceline::backup
