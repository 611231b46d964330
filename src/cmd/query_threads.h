// cmd/query_threads.h - a tablet's query loops, one QueryServer each, behind what the manager
// steers. Threads: the manager's loop; each server on its own.
#pragma once

#include <memory>
#include <vector>

#include "base/metrics.h"
#include "cmd/loop_thread.h"
#include "native/server.h"
#include "vttablet/manager/query_side.h"
#include "vttablet/query/query_group.h"

namespace paceline::cmd {

class QueryThreads final : public vttablet::QuerySide {
 public:
  // `options` hold the limits of the whole tablet.
  QueryThreads(size_t threads, const vttablet::QueryServerOptions& options);
  ~QueryThreads() override;

  // Posted to each loop: in force before anything that this side asks of it later.
  void SetServing(record::TabletType type, bool serving, std::string reason, uint64_t term,
                  bool leased) override;
  void SetLease(Time until) override { group_->SetLease(until); }
  void SetDiskRefusal(vttablet::DiskRefusal refusal) override { group_->SetDiskRefusal(refusal); }
  void SetHealth(const port::TabletHealth& health) override { group_->SetHealth(health); }
  io::Task<bool> Drain(Deadline grace) override { return group_->Drain(grace); }
  io::Task<vttablet::AttemptsSight> HoldAttempts(std::vector<uint32_t> attempts) override {
    return group_->HoldAttempts(std::move(attempts));
  }
  void SetResolve(vttablet::Resolve resolve) override {
    group_->SetResolve(io::Loop::Current(), std::move(resolve));
  }
  void DropConnections(const std::string& reason) override;

  io::Task<void> Close() { return group_->Close(); }
  std::vector<native::Server::Shard> Shards();
  size_t size() const { return threads_.size(); }
  vttablet::QueryGroup& group() { return *group_; }
  vttablet::QueryServer& server(size_t index) { return group_->server(index); }
  io::Loop& loop(size_t index) { return threads_[index]->loop(); }

 private:
  std::vector<std::unique_ptr<LoopThread>> threads_;
  std::unique_ptr<vttablet::QueryGroup> group_;
};

// The group's totals under Vitess's names, for /metrics and /debug/vars, while the handles live.
std::vector<Metrics::Callback> AddQueryMetrics(const vttablet::QueryGroup& group, int64_t pool,
                                               int64_t transactions);

}  // namespace paceline::cmd
