#include "vttablet/query/query_group.h"

#include <utility>

#include "io/blocking.h"

namespace paceline::vttablet {
namespace {

io::Task<bool> ApplyOne(std::function<void(QueryServer&)> change, QueryServer* server) {
  change(*server);
  co_return true;
}
io::Task<bool> DrainOne(QueryServer* server, Deadline grace) {
  bool in_time = co_await server->Drain(grace);
  co_return in_time;
}
io::Task<bool> CloseOne(QueryServer* server) {
  co_await server->Close();
  co_return true;
}

}  // namespace

QueryGroup::QueryGroup(std::vector<io::Loop*> loops, const QueryServerOptions& options)
    : loops_(std::move(loops)) {
  auto budget = std::make_shared<PoolBudget>(options.pool.statements, options.pool.transactions,
                                             options.pool.streams);
  for (size_t i = 0; i < loops_.size(); ++i) {
    QueryServerOptions own = options;
    own.loop_index = static_cast<uint32_t>(i);
    own.pool.budget = budget;
    servers_.push_back(std::make_unique<QueryServer>(*loops_[i], std::move(own)));
    servers_.back()->state().UseLease(&lease_until_ns_);
    servers_.back()->UseDisk(&disk_refusal_);
  }
}

io::Task<bool> QueryGroup::OnAll(Work work) {
  io::Loop* home = &io::Loop::Current();
  size_t open = servers_.size();
  bool good = true;
  io::Event all_done;
  for (size_t i = 0; i < servers_.size(); ++i) {
    QueryServer* server = servers_[i].get();
    std::function<io::Task<bool>()> make = [work, server] { return work(*server); };
    std::function<void(bool)> done = [home, &open, &good, &all_done](bool one) {
      home->Post([&open, &good, &all_done, one] {
        good = good && one;
        if (--open == 0) all_done.Set();
      });
    };
    io::StartOn(*loops_[i], std::move(make), std::move(done));
  }
  [[maybe_unused]] bool ended = co_await all_done.Wait(Deadline::Never());
  co_return good;
}

io::Task<void> QueryGroup::Apply(std::function<void(QueryServer&)> change) {
  Work work = [change](QueryServer& server) { return ApplyOne(change, &server); };
  [[maybe_unused]] bool good = co_await OnAll(std::move(work));
}

io::Task<void> QueryGroup::SetServing(record::TabletType type, bool serving, std::string reason,
                                      uint64_t term, bool leased) {
  std::function<void(QueryServer&)> change = [=](QueryServer& server) {
    server.SetServing(type, serving, reason, term, leased);
  };
  co_await Apply(std::move(change));
}

io::Task<void> QueryGroup::SetAdmission(std::vector<const Admission*> admission) {
  std::function<void(QueryServer&)> change = [admission](QueryServer& server) {
    server.SetAdmission(admission);
  };
  co_await Apply(std::move(change));
}

io::Task<void> QueryGroup::DropConnections(std::string reason) {
  std::function<void(QueryServer&)> change = [reason](QueryServer& server) {
    server.DropConnections(reason);
  };
  co_await Apply(std::move(change));
}

io::Task<AttemptsSight> QueryGroup::HoldAttempts(std::vector<uint32_t> attempts) {
  auto sights = std::make_shared<std::vector<AttemptsSight>>(servers_.size());
  auto wanted = std::make_shared<const std::vector<uint32_t>>(std::move(attempts));
  // Each loop fills a slot of its own.
  std::function<void(QueryServer&)> look = [this, sights, wanted](QueryServer& server) {
    for (size_t i = 0; i < servers_.size(); ++i) {
      if (servers_[i].get() == &server) (*sights)[i] = server.HoldAttempts(*wanted);
    }
  };
  co_await Apply(std::move(look));
  AttemptsSight all;
  all.runs.assign(wanted->size(), false);
  for (const AttemptsSight& one : *sights) {
    for (size_t i = 0; i < one.runs.size(); ++i) all.runs[i] = all.runs[i] || one.runs[i];
    all.left.insert(all.left.end(), one.left.begin(), one.left.end());
  }
  co_return all;
}

void QueryGroup::SetResolve(io::Loop& home, Resolve resolve) {
  for (size_t i = 0; i < servers_.size(); ++i) {
    loops_[i]->Post(
        [server = servers_[i].get(), &home, resolve] { server->SetResolve(home, resolve); });
  }
}

io::Task<bool> QueryGroup::Drain(Deadline grace) {
  Work work = [grace](QueryServer& server) { return DrainOne(&server, grace); };
  bool in_time = co_await OnAll(std::move(work));
  co_return in_time;
}

io::Task<void> QueryGroup::Close() {
  Work work = [](QueryServer& server) { return CloseOne(&server); };
  [[maybe_unused]] bool closed = co_await OnAll(std::move(work));
}

void QueryGroup::SetHealth(const port::TabletHealth& health) {
  for (size_t i = 0; i < servers_.size(); ++i) {
    loops_[i]->Post([server = servers_[i].get(), health] { server->SetHealth(health); });
  }
}

QueryTotals QueryGroup::Totals() const {
  QueryTotals sum;
  for (const auto& server : servers_) {
    const QueryMetrics& one = server->metrics();
    sum.queries += one.queries.value();
    sum.mysql_errors += one.mysql_errors.value();
    sum.refused += one.refused.value();
    sum.failed += one.failed.value();
    sum.query_ns += one.query_ns.value();
    sum.waits += one.waits.value();
    sum.wait_ns += one.wait_ns.value();
    sum.connections += one.connections.value();
    sum.idle += one.idle.value();
    sum.pinned += one.pinned.value();
    sum.running += one.running.value();
    sum.waiting += one.waiting.value();
    sum.kills += one.kills.value();
    sum.transactions += one.transactions.value();
    sum.transactions_killed += one.transactions_killed.value();
    sum.dial_errors += one.dial_errors.value();
  }
  return sum;
}

}  // namespace paceline::vttablet
