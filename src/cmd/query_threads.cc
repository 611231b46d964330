#include "cmd/query_threads.h"

namespace paceline::cmd {

QueryThreads::QueryThreads(size_t threads, const vttablet::QueryServerOptions& options) {
  std::vector<io::Loop*> loops;
  for (size_t i = 0; i < threads; ++i) {
    threads_.push_back(std::make_unique<LoopThread>());
    loops.push_back(&threads_.back()->loop());
  }
  group_ = std::make_unique<vttablet::QueryGroup>(std::move(loops), options);
}

QueryThreads::~QueryThreads() {
  threads_.clear();
}  // no loop may still touch a server that goes away after this

void QueryThreads::SetServing(record::TabletType type, bool serving, std::string reason,
                              uint64_t term, bool leased) {
  for (size_t i = 0; i < threads_.size(); ++i) {
    vttablet::QueryServer* server = &group_->server(i);
    loop(i).Post([=] { server->SetServing(type, serving, reason, term, leased); });
  }
}

void QueryThreads::DropConnections(const std::string& reason) {
  for (size_t i = 0; i < threads_.size(); ++i) {
    vttablet::QueryServer* server = &group_->server(i);
    loop(i).Post([server, reason] { server->DropConnections(reason); });
  }
}

std::vector<native::Server::Shard> QueryThreads::Shards() {
  std::vector<native::Server::Shard> shards;
  for (size_t i = 0; i < threads_.size(); ++i) shards.push_back({&loop(i), &group_->server(i)});
  return shards;
}

std::vector<Metrics::Callback> AddQueryMetrics(const vttablet::QueryGroup& group, int64_t pool,
                                               int64_t transactions) {
  using vttablet::QueryTotals;
  struct Entry {
    const char* name;
    const char* help;
    CallbackKind kind;
    int64_t QueryTotals::*value;
  };
  constexpr CallbackKind kCount = CallbackKind::kCounter, kNow = CallbackKind::kGauge;
  static constexpr Entry kEntries[] = {
      {"QueryTotalCount", "statements sent to mysqld", kCount, &QueryTotals::queries},
      {"QueryTotalTimeNs", "time that statements took", kCount, &QueryTotals::query_ns},
      {"MysqlErrors", "statements that mysqld answered with an error", kCount,
       &QueryTotals::mysql_errors},
      {"QueriesRefused", "statements refused before mysqld saw them", kCount,
       &QueryTotals::refused},
      {"InternalErrors", "statements that failed otherwise", kCount, &QueryTotals::failed},
      {"TransactionTotalCount", "transactions begun", kCount, &QueryTotals::transactions},
      {"TransactionsKilled", "transactions ended by their limit", kCount,
       &QueryTotals::transactions_killed},
      {"QueriesKilled", "statements killed", kCount, &QueryTotals::kills},
      {"ConnPoolWaitCount", "statements that waited for a connection", kCount, &QueryTotals::waits},
      {"ConnPoolWaitTime", "time they waited, ns", kCount, &QueryTotals::wait_ns},
      {"ConnPoolDialErrors", "connections to mysqld that could not be made", kCount,
       &QueryTotals::dial_errors},
      {"ConnPoolActive", "connections to mysqld", kNow, &QueryTotals::connections},
      {"ConnPoolAvailable", "idle ones", kNow, &QueryTotals::idle},
      {"ConnPoolInUse", "statements running", kNow, &QueryTotals::running},
      {"ConnPoolWaiting", "statements that wait for a connection now", kNow, &QueryTotals::waiting},
      {"TransactionPoolInUse", "sessions that hold a connection", kNow, &QueryTotals::pinned},
  };
  std::vector<Metrics::Callback> callbacks;
  Metrics& metrics = Metrics::Process();
  for (const Entry& entry : kEntries) {
    callbacks.push_back(
        metrics.AddCallback(entry.name, entry.help, entry.kind,
                            [&group, value = entry.value] { return group.Totals().*value; }));
  }
  callbacks.push_back(metrics.AddCallback("ConnPoolCapacity", "limit for single statements", kNow,
                                          [pool] { return pool; }));
  callbacks.push_back(metrics.AddCallback("TransactionPoolCapacity", "limit for transactions", kNow,
                                          [transactions] { return transactions; }));
  return callbacks;
}

}  // namespace paceline::cmd
