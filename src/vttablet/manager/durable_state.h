// vttablet/manager/durable_state.h - what a tablet must remember over a crash: the highest term it
// promised, and its role under which term (DESIGN section 7). One small file, replaced atomically
// and synced before a promise is answered. Threads: one loop; writes go to a blocking thread, one
// at a time.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/sync.h"
#include "io/task.h"
#include "vttablet/manager/lease.h"

namespace paceline::vttablet {

struct DurableState {
  uint64_t promised_term = 0;
  std::string coordinator;  // who asked for promised_term
  // Why its data must not be used any more; empty: it may. Survives a crash in the middle of a
  // seed.
  std::string needs_seed;
  // Data from before a seed is kept aside, until this tablet has caught up.
  bool old_data_aside = false;
  bool keep_old_logs = false;  // its binary logs may hold what no other tablet has
  uint64_t primary_term =
      0;                 // the term this tablet leads or led last; 0: never, or a replica since
  bool demoted = false;  // as primary of primary_term: drained and read-only
  bool fenced = false;   // receives nothing until a Repoint of promised_term
  bool replication_stopped = false;  // a person said StopReplication
  // What was restored up to a point in time, from what and up to where; empty: nothing was, or it
  // has gone on since. Replication is not started while it stands.
  std::string restored;
  std::string base_keyspace;  // of a tablet of a snapshot keyspace: whose data it holds
  int64_t primary_term_start_ns = 0;
  // What the topology said last, so that the role can be taken up again while it is away (I6).
  std::string leader;  // alias of the shard's primary
  int64_t leader_term_start_ns = 0;
  std::string leader_host;  // where its mysqld is
  int leader_port = 0;
  bool acknowledges = false;      // as a replica
  uint32_t acknowledgements = 0;  // as the primary: how many each commit waits for
  // A person forced its promotion while nobody could acknowledge: commits wait for nobody until as
  // many as the policy wants follow it.
  bool forced_alone = false;
  std::vector<LeaseMember> members;  // the shard's tablets, as last heard
  friend bool operator==(const DurableState&, const DurableState&) = default;
};

class DurableStateFile {
 public:
  explicit DurableStateFile(std::string path) : path_(std::move(path)) {}
  // A missing file is the empty state. Errors: kDataLoss for a damaged one: a promise may have been
  // forgotten, so a person must look.
  Result<DurableState> Load();
  // Durable when it returns. Errors: kUnavailable naming the file.
  io::Task<Status> Save(DurableState state);

 private:
  std::string path_;
  io::Mutex writing_;
};

}  // namespace paceline::vttablet
