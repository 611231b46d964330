// mysqlctl/one_shot.h - vtbackup: a backup made by a server of its own, without a tablet. It takes
// the shard's newest backup, catches up with the primary, makes the next one, and removes what has
// expired. Threads: the loop's thread.
#pragma once

#include <functional>
#include <string>

#include "backup/retention.h"
#include "mysqlctl/agent.h"

namespace paceline::mysqlctl {

struct OneShotOptions {
  port::BackupOrder order;
  bool initial = false;      // of an empty server, for a new shard
  bool allow_first = false;  // where there is none yet: replicates from the beginning
  bool verify = false;       // the new backup, before old ones go
  Duration min_interval{0};  // a younger backup will do: nothing is made
  backup::BackupRules rules;
};
struct LivePrimary {
  std::string host;
  uint16_t port = 0;
  std::shared_ptr<port::TabletManager> tablet;  // to ask for its position
};
using FindPrimary = std::function<io::Task<Result<LivePrimary>>(Deadline deadline)>;

// The new backup's name; empty: none was due. `say` gets each step. REQUIRES: `agent` has begun, on
// a folder that nobody else uses. Errors: kNotFound without a backup to begin from; as
// Mysqlctld::Seed and Backup.
io::Task<Result<std::string>> MakeOneBackup(io::Loop& loop, Mysqlctld& agent,
                                            OneShotOptions options, FindPrimary find_primary,
                                            std::function<void(std::string)> say,
                                            Deadline deadline);

}  // namespace paceline::mysqlctl
