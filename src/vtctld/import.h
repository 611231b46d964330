// vtctld/import.h - the course of an import: a plain MySQL or MariaDB becomes a shard while it
// runs, and back until that is confirmed. The tablets do the work (agent.Import); here is its
// order. Each command may be run again after a crash at any of its steps: what was begun stands in
// the record (topo/import_record.h) before it is done. Threads: the topology's loop.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "drive/connect.h"
#include "topo/import_record.h"

namespace paceline::agent {
class ImportRequest;
class ImportResponse;
class ImportSource;
}  // namespace paceline::agent

namespace paceline::vtctld {

struct ImportAsked {
  record::KeyspaceShard shard;
  // create
  std::string host, user, password, database;
  uint16_t port = 3306;
  record::TabletAlias tablet;  // who reads from the source; empty: the primary, or the first
  // switch, back: given up where writes would stand still for longer.
  Duration write_stop_max = std::chrono::seconds(5);
  bool force = false;  // complete, cancel: also where the source does not answer
};

class ShardImport {
 public:
  using Told = std::function<void(std::string)>;
  ShardImport(topo::Server& topo, drive::Connect connect, ImportAsked asked, Told told);

  io::Task<Status> Create(Deadline deadline);
  io::Task<Status> Show(Deadline deadline);
  io::Task<Status> Switch(Deadline deadline);
  io::Task<Status> Back(Deadline deadline);
  io::Task<Status> Complete(Deadline deadline);
  io::Task<Status> Cancel(Deadline deadline);

 private:
  using Record = topo::ImportRecord;
  struct Member {
    record::Tablet tablet;
    std::shared_ptr<port::TabletManager> manager;
  };
  using Verb = io::Task<Status> (ShardImport::*)(Deadline);
  // `verb` under the import's lock.
  io::Task<Status> Locked(std::string action, Verb verb, Deadline deadline);
  io::Task<Status> CreateLocked(Deadline deadline);
  io::Task<Status> SwitchLocked(Deadline deadline);
  io::Task<Status> BackLocked(Deadline deadline);
  io::Task<Status> CompleteLocked(Deadline deadline);
  io::Task<Status> CancelLocked(Deadline deadline);

  // members_, record_ and shard_ anew. Errors: kNotFound: `needs_record` and there is none.
  io::Task<Status> Look(bool needs_record, Deadline deadline);
  io::Task<Status> SetPhase(Record::Phase phase, Deadline deadline);
  Member* Find(const record::TabletAlias& alias);
  io::Task<Status> Ask(Member member, agent::ImportRequest request, agent::ImportResponse* response,
                       Deadline deadline);
  // Of every tablet, BAR or UNBAR. Errors: naming those that do not answer.
  io::Task<Status> Bar(bool on, Deadline deadline);
  io::Task<Status> Check(Deadline deadline);
  // No tablet leads any more, in a term of this command. Zero acknowledgements: nobody led.
  struct Led {
    record::TabletAlias tablet;
    uint64_t term = 0;
    uint32_t acknowledgements = 0;
  };
  io::Task<Result<Led>> TakeLead(Deadline deadline);
  io::Task<Status> GiveLeadBack(Led led, Deadline deadline);
  io::Task<Status> ClearPrimary(Deadline deadline);
  io::Task<Status> Promote(Deadline deadline);
  io::Task<Status> Forget(Deadline deadline);
  // The source replicates from whoever leads now.
  io::Task<Status> Reverse(Deadline deadline);
  std::string NextStep(const agent::ImportResponse& importer) const;

  topo::Server& topo_;
  drive::Connect connect_;
  ImportAsked asked_;
  Told told_;
  std::vector<Member> members_;
  std::optional<Record> record_;
  record::Shard shard_;
};

// "create", "show" and so on. Errors: kInvalidArgument.
io::Task<Status> RunImport(topo::Server& topo, drive::Connect connect, std::string verb,
                           ImportAsked asked, ShardImport::Told told, Deadline deadline);

}  // namespace paceline::vtctld
