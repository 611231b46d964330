// reparent/view.h - all that a reparent decision may know: what was asked, what was seen of each
// tablet, how far this attempt has come. The driver fills it from the topology and from each
// tablet's agent.TabletState; decide.h reads it. Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/time.h"
#include "gtid/history.h"
#include "gtid/set.h"
#include "record/record.h"
#include "reparent/durability.h"

namespace paceline::reparent {

using record::TabletAlias;

enum class Action : uint8_t { kPlanned, kEmergency, kInit, kReparentTablet };
// "PlannedReparentShard" and so on, as the journal and logs have it.
std::string_view ActionName(Action action);

struct Request {
  Action action = Action::kPlanned;
  TabletAlias new_primary;  // empty: elect one. kReparentTablet: the tablet to repoint
  TabletAlias
      avoid_primary;  // planned: move away from this one; nothing to do when it does not lead
  TabletAlias expected_primary;  // refuse when another leads
  std::string preferred_cell;    // empty: the cell of the old primary
  bool allow_cross_cell = true;  // false: a successor must be of the preferred cell
  bool force = false;  // a person accepts what Refuse::may_be_lost says; never set by a program
  bool yields =
      false;  // to another coordinator whose term stands against ours: one of several alike
  bool for_import = false;                // the switch of an import, which bars all others
  std::set<TabletAlias> ignore;           // not to be promoted; they count as members all the same
  std::optional<Duration> tolerable_lag;  // planned: refuse a candidate that lags more
};

// One tablet of the shard's record list. With `reachable` false only alias and type (from its
// record) mean something.
struct TabletSight {
  TabletAlias alias;
  record::TabletType type = record::TabletType::kReplica;
  bool reachable = false;
  std::string error;  // why it is not reachable

  uint64_t promised_term = 0;
  uint64_t journal_term = 0;    // newest row of _vt.reparent_journal it has; 0: none
  TabletAlias journal_primary;  // the alias in that row, where the driver can read it
  bool mysqld_running = false;  // false while reachable: its vttablet says mysqld is dead
  bool mysqld_exited = false;   // its process has ended, as whoever started it saw
  bool serving = false;
  bool read_only = true;
  bool demoted = false;  // a Demote has completed: drained and read-only
  bool fenced = false;   // receives nothing, and will not, until repointed by a term
  TabletAlias
      source;  // whom it replicates from (its host and port, found in the records); empty: none
  bool io_running = false, sql_running = false;
  bool semi_sync_replica = false;
  uint32_t semi_sync_required =
      0;  // on a primary with semi-sync on: acknowledgements a commit waits for now
  bool backup_running = false;
  bool hung = false;          // not reachable because its mysqld does not answer; its vttablet does
  std::string stream_mark;    // changes whenever anything arrives from the source
  std::string importing;      // its part in an import that bars promotions
  std::string needs_seed;     // why its data cannot be used any more
  std::string disk_error;     // why its disk takes no writes
  bool disk_full = false;     // by that, a read-only file system or I/O errors; not by a stall
  bool disk_low = false;      // it works, and soon refuses what makes data grow
  bool disk_has_room = true;  // for the writes of a primary
  std::optional<Duration> lag;
  gtid::Set executed;  // MariaDB: gtid_binlog_state and gtid_slave_pos together
  gtid::Set
      received;  // executed and what its relay log holds; final once its IO thread has stopped
  // What it granted: by that it let no successor of `to` open for `left`. `to` empty: whoever it
  // followed before its vttablet was started anew.
  struct Grant {
    TabletAlias to;
    Duration left{0};
  };
  std::vector<Grant> grants;
  // Zero when none binds it.
  Duration GrantLeftTo(const TabletAlias& primary) const;
};

struct View {
  record::KeyspaceShard shard;
  Durability durability = Durability::kNone;
  gtid::Flavor flavor = gtid::Flavor::kMysql;
  TabletAlias shard_primary;              // what the shard record says; empty: none
  std::vector<TabletSight> tablets;       // every tablet record of the shard
  std::vector<gtid::Takeover> takeovers;  // MariaDB, from the journal where known

  const TabletSight* Find(const TabletAlias& alias) const;
};

}  // namespace paceline::reparent
