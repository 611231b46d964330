// cmd/query_threads.h - a tablet's query loops, one QueryServer each, behind what the manager steers. Threads: the manager's
// loop; each server on its own.
#pragma once

#include <memory>
#include <vector>

#include "cmd/loop_thread.h"
#include "native/server.h"
#include "vttablet/manager/query_side.h"
#include "vttablet/query/query_server.h"

namespace paceline::cmd {

class QueryThreads final : public vttablet::QuerySide {
 public:
  // `options` for one loop; pool sizes are those of the process and are divided.
  QueryThreads(size_t threads, vttablet::QueryServerOptions options);
  ~QueryThreads() override;

  void SetServing(record::TabletType type, bool serving, std::string reason, uint64_t term) override;
  void SetHealth(const port::TabletHealth& health) override;
  io::Task<bool> Drain(Deadline grace) override;
  void DropConnections(const std::string& reason) override;

  io::Task<void> Close();
  std::vector<native::Server::Shard> Shards();
  vttablet::QueryServer& server(size_t index) { return *servers_[index]; }
  io::Loop& loop(size_t index) { return threads_[index]->loop(); }
  size_t size() const { return servers_.size(); }

 private:
  std::vector<std::unique_ptr<LoopThread>> threads_;
  std::vector<std::unique_ptr<vttablet::QueryServer>> servers_;
};

}  // namespace paceline::cmd
