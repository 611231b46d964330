#include "cmd/query_threads.h"

#include <algorithm>

namespace paceline::cmd {

QueryThreads::QueryThreads(size_t threads, vttablet::QueryServerOptions options) {
  options.pool.statements = std::max<size_t>(1, options.pool.statements / threads);
  options.pool.transactions = std::max<size_t>(1, options.pool.transactions / threads);
  for (size_t i = 0; i < threads; ++i) {
    threads_.push_back(std::make_unique<LoopThread>());
    options.loop_index = static_cast<uint32_t>(i);
    servers_.push_back(std::make_unique<vttablet::QueryServer>(threads_.back()->loop(), options));
  }
}

QueryThreads::~QueryThreads() { threads_.clear(); }  // no loop may still touch a server that goes away after this

void QueryThreads::SetServing(record::TabletType type, bool serving, std::string reason, uint64_t term) {
  for (size_t i = 0; i < servers_.size(); ++i) {
    vttablet::QueryServer* server = servers_[i].get();
    loop(i).Post([server, type, serving, reason, term] { server->SetServing(type, serving, reason, term); });
  }
}

void QueryThreads::SetHealth(const port::TabletHealth& health) {
  for (size_t i = 0; i < servers_.size(); ++i) {
    vttablet::QueryServer* server = servers_[i].get();
    loop(i).Post([server, health] { server->SetHealth(health); });
  }
}

io::Task<bool> QueryThreads::Drain(Deadline grace) {
  bool clean = true;
  for (size_t i = 0; i < servers_.size(); ++i) {
    vttablet::QueryServer* server = servers_[i].get();
    std::function<io::Task<bool>()> make = [server, grace] { return server->Drain(grace); };
    bool one = co_await threads_[i]->Call<bool>(std::move(make));
    clean = clean && one;
  }
  co_return clean;
}

void QueryThreads::DropConnections(const std::string& reason) {
  for (size_t i = 0; i < servers_.size(); ++i) {
    vttablet::QueryServer* server = servers_[i].get();
    loop(i).Post([server, reason] { server->DropConnections(reason); });
  }
}

namespace {

io::Task<bool> CloseServer(vttablet::QueryServer* server) {
  co_await server->Close();
  co_return true;
}

}  // namespace

io::Task<void> QueryThreads::Close() {
  for (size_t i = 0; i < servers_.size(); ++i) {
    vttablet::QueryServer* server = servers_[i].get();
    std::function<io::Task<bool>()> make = [server] { return CloseServer(server); };
    bool closed = co_await threads_[i]->Call<bool>(std::move(make));
    (void)closed;
  }
}

std::vector<native::Server::Shard> QueryThreads::Shards() {
  std::vector<native::Server::Shard> shards;
  for (size_t i = 0; i < servers_.size(); ++i) shards.push_back({&loop(i), servers_[i].get()});
  return shards;
}

}  // namespace paceline::cmd
