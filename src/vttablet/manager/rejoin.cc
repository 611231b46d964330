#include "vttablet/manager/rejoin.h"

#include "base/log.h"

namespace paceline::vttablet {
namespace {

struct Journal {
  static io::Task<Status> Note(port::Mysqlctl& agent, mysqld::SemiSyncChange change,
                               Deadline deadline) {
    port::SemiSyncNote note{change.on, change.acks, change.durable};
    Status noted = co_await agent.NoteSemiSync(note, deadline);
    co_return noted;
  }
};

// Whether mysqld may live on: it was drained and the leader has all that it has.
io::Task<Result<bool>> IsClean(mysqld::Replication& replication, const RejoinOrder& order,
                               Deadline deadline) {
  if (!order.drained) co_return false;
  Result<gtid::Set> position = co_await replication.Position(deadline);
  if (!position) co_return Fail(position.error());
  if (!order.leader_has.Contains(*position)) co_return false;
  Result<mysqld::SemiSyncStatus> semi_sync = co_await replication.GetSemiSync(deadline);
  if (!semi_sync) co_return Fail(semi_sync.error());
  co_return semi_sync->waiting_sessions == 0;
}

}  // namespace

mysqld::SemiSyncJournal JournalAt(port::Mysqlctl& agent) {
  port::Mysqlctl* target = &agent;
  return [target](mysqld::SemiSyncChange change, Deadline deadline) {
    return Journal::Note(*target, change, deadline);
  };
}

io::Task<Result<RejoinReport>> Rejoin(RejoinNeeds needs, RejoinOrder order, Deadline deadline) {
  RejoinReport report;
  if (!order.mysqld_held && needs.replication != nullptr) {
    Deadline soon = Deadline::In(2s).EarlierOf(deadline);
    Result<bool> clean = co_await IsClean(*needs.replication, order, soon);
    // A server that does not answer is killed as one that is not clean.
    if (clean && *clean) co_return report;
  }
  port::RewindOrder rewind;
  rewind.keep = order.leader_has.ToEncoded();
  rewind.kill = true;
  Result<port::RewindReport> rewound = co_await needs.agent->Rewind(rewind, deadline);
  if (rewound) {
    report.outcome = RejoinOutcome::kRewound;
    report.rewind = std::move(*rewound);
    if (report.rewind.transactions > 0) {
      LOG_WARNING("term {}: {} transactions that no other tablet has were cut off ({}){}: {}",
                  order.term, report.rewind.transactions, report.rewind.cut,
                  report.rewind.only_sidecar ? ", heartbeats and the like" : "",
                  report.rewind.export_file);
    }
    co_return report;
  }
  if (rewound.error().code() != Code::kFailedPrecondition) co_return Fail(rewound.error());
  LOG_WARNING("term {}: rewinding is not safe, a new seed is needed: {}", order.term,
              rewound.error().message());
  co_return Fail(rewound.error().Context("rejoining needs a new seed"));
}

}  // namespace paceline::vttablet
