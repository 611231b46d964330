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
                              uint64_t term) {
  for (size_t i = 0; i < threads_.size(); ++i) {
    vttablet::QueryServer* server = &group_->server(i);
    loop(i).Post(
        [server, type, serving, reason, term] { server->SetServing(type, serving, reason, term); });
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

}  // namespace paceline::cmd
