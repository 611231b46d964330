#include <sqlite3.h>

#include <csignal>
#include <filesystem>
#include <vector>

#include "base/rng.h"
#include "topo/conformance/backend.h"
#include "topo/conformance/etcd_process.h"
#include "topo/embedded/embedded_conn.h"
#include "topo/etcd/etcd_conn.h"
#include "topo/memory/memory_conn.h"

namespace paceline::topo::conformance {
namespace {

class MemoryBackend final : public Backend {
 public:
  explicit MemoryBackend(io::Loop& loop) : loop_(loop), store_(std::make_shared<memory::Store>()) {}
  ConnPtr Open(std::string root) override {
    auto conn = memory::Open(loop_, store_, root);
    opened_.push_back(conn.get());
    return conn;
  }
  io::Task<void> Cut() override {
    Set(true);
    co_return;
  }
  io::Task<void> Heal() override {
    Set(false);
    co_return;
  }

 private:
  void Set(bool cut) {
    for (memory::MemoryConn* conn : opened_) {
      conn->faults().cut_off = cut;
      conn->FaultsChanged();
    }
  }
  io::Loop& loop_;
  std::shared_ptr<memory::Store> store_;
  std::vector<memory::MemoryConn*> opened_;
};

class EmbeddedBackend final : public Backend {
 public:
  explicit EmbeddedBackend(io::Loop& loop) : loop_(loop) {
    folder_ = (std::filesystem::temp_directory_path() / ("paceline-topo-" + NewUuid())).string();
  }
  ~EmbeddedBackend() override {
    sqlite3_close_v2(other_);
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  ConnPtr Open(std::string root) override {
    return embedded::Open(loop_, folder_ + "/topology.db", root);
  }
  // Another process that stopped in the middle of a write.
  io::Task<void> Cut() override {
    std::filesystem::create_directories(folder_);
    sqlite3_open((folder_ + "/topology.db").c_str(), &other_);
    sqlite3_busy_timeout(other_, 5000);
    sqlite3_exec(other_, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr);
    co_return;
  }
  io::Task<void> Heal() override {
    sqlite3_close_v2(std::exchange(other_, nullptr));
    co_return;
  }

 private:
  io::Loop& loop_;
  std::string folder_;
  sqlite3* other_ = nullptr;
};

class EtcdBackend final : public Backend {
 public:
  explicit EtcdBackend(io::Loop& loop) : loop_(loop), process_(loop) {
    started_ = process_.Start();
  }
  ConnPtr Open(std::string root) override {
    etcd::EtcdOptions options;
    options.endpoints = process_.endpoint();
    options.root = std::move(root);
    auto conn = etcd::Open(loop_, options);
    return conn ? std::move(*conn) : nullptr;
  }
  io::Task<void> Cut() override {
    (void)process_.Signal(SIGSTOP);
    co_return;
  }
  io::Task<void> Heal() override {
    (void)process_.Signal(SIGCONT);
    co_return;
  }
  Duration ShortLease() const override { return 2s; }
  bool started() const { return started_.has_value(); }

 private:
  io::Loop& loop_;
  EtcdProcess process_;
  Status started_;
};

}  // namespace

std::unique_ptr<Backend> MakeMemory(io::Loop& loop) {
  return std::make_unique<MemoryBackend>(loop);
}
std::unique_ptr<Backend> MakeEmbedded(io::Loop& loop) {
  return std::make_unique<EmbeddedBackend>(loop);
}
std::unique_ptr<Backend> MakeEtcd(io::Loop& loop) {
  auto backend = std::make_unique<EtcdBackend>(loop);
  if (!backend->started()) return nullptr;
  return backend;
}

}  // namespace paceline::topo::conformance
