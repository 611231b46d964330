// vttablet/manager/resolver.h - answers whether attempts were committed (QueryService::Resolve):
// from what promotions proved, and, for attempts that were sent to this tablet, from its own binary
// log once nothing of them can run any more. Guesses nothing: what is not proven is kUnknown.
// Threads: the manager's loop. Lifetime: needs outlive it and its calls.
#pragma once

#include <string>
#include <vector>

#include "mysqld/replication.h"
#include "port/mysqlctl.h"
#include "vttablet/manager/evidence.h"
#include "vttablet/manager/query_side.h"

namespace paceline::vttablet {

class Resolver {
 public:
  struct Needs {
    mysqld::Admin* dba = nullptr;
    port::Mysqlctl* agent = nullptr;  // null: own logs are not read
    QuerySide* query = nullptr;
    record::TabletAlias alias;
    std::string sidecar, app_user;
  };
  Resolver(io::Loop& loop, Needs needs) : loop_(loop), needs_(std::move(needs)) {}

  // Notes the sessions of an earlier process of this tablet. Call once mysqld answers, before
  // anything is served. Errors: mysqld's own.
  io::Task<Status> NoteFormer(Deadline deadline);
  // mysqld has ended: its sessions with it.
  void ForgetFormer() { former_.clear(); }

  // `replication`: of this tablet. Answers a little before the deadline.
  io::Task<Result<std::vector<port::AttemptOutcome>>> Resolve(
      mysqld::Replication& replication, std::vector<port::AttemptQuestion> questions,
      Deadline deadline);

 private:
  // Those of `attempts` that still run at the deadline.
  io::Task<AttemptsSight> AwaitEnd(const std::vector<uint32_t>& attempts, Deadline deadline);
  // Until no session of an earlier process, nor of `left`, is there. Ends those that run long.
  io::Task<Status> AwaitGone(bool mariadb, std::vector<uint32_t> left, Deadline deadline);
  io::Task<Result<LogProof>> ReadOwnLog(mysqld::Replication& replication,
                                        const std::vector<port::AttemptQuestion>& questions,
                                        Deadline deadline);
  // A commit that is acknowledged comes after all that stood in the log before it.
  io::Task<Status> Confirm(Deadline deadline);

  io::Loop& loop_;
  Needs needs_;
  std::vector<uint64_t> former_;
};

}  // namespace paceline::vttablet
