// vttablet/manager/rejoin.h - an old primary on its way back (DESIGN section 7, step 7): another
// tablet leads a later term, and this tablet's mysqld is held, or lives and is fenced. What it has
// and the leader does not is exported and cut off, and mysqld starts as nobody's replica,
// read-only; the caller then points it at the leader. Threads: one loop. Safe to run again at any
// point.
#pragma once

#include <functional>
#include <string>

#include "base/error.h"
#include "gtid/set.h"
#include "io/task.h"
#include "mysqld/replication.h"
#include "port/mysqlctl.h"

namespace paceline::vttablet {

struct RejoinOrder {
  uint64_t term = 0;         // the leader's
  gtid::Set leader_has;      // what the leader had when asked last: a later set is as good.
                             // MariaDB: gtid::WithHistory applied
  bool mysqld_held = false;  // as mysqlctld told
  // A completed demotion: nothing waits and nothing was released, so a mysqld without errant
  // transactions goes on as it is instead of being killed.
  bool drained = false;
};

enum class RejoinOutcome : uint8_t {
  kUnchanged,  // nothing was lacking at the leader; mysqld runs on
  kRewound,    // mysqld was started anew and has nothing that the leader lacks
};

struct RejoinReport {
  RejoinOutcome outcome = RejoinOutcome::kUnchanged;
  port::RewindReport rewind;
};

// A journal for Replication::SetJournal that notes every change at mysqlctld. `agent` outlives it.
mysqld::SemiSyncJournal JournalAt(port::Mysqlctl& agent);

struct RejoinNeeds {
  port::Mysqlctl* agent = nullptr;             // must not be null
  mysqld::Replication* replication = nullptr;  // asked only where mysqld lives
};

// Does not serve, and starts no replication. Errors: kFailedPrecondition: rewinding is not provably
// safe, with the condition that failed, and the tablet needs a new seed; others: try again.
io::Task<Result<RejoinReport>> Rejoin(RejoinNeeds needs, RejoinOrder order, Deadline deadline);

}  // namespace paceline::vttablet
