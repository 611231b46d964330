#include "topo/conformance/etcd_process.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "base/rng.h"
#include "io/testing.h"

namespace paceline::topo::conformance {
EtcdProcess::EtcdProcess(io::Loop& loop) : loop_(loop) {
  folder_ = (std::filesystem::temp_directory_path() / ("paceline-etcd-" + NewUuid())).string();
  std::filesystem::create_directories(folder_);
  token_ = NewUuid();
  client_port_ = io::FreePortForTest();
  peer_port_ = io::FreePortForTest();
}

EtcdProcess::~EtcdProcess() {
  if (process_ != nullptr && process_->running()) (void)process_->Signal(SIGKILL);
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

Status EtcdProcess::Start() {
  std::string client = "http://" + endpoint(),
              peer = "http://127.0.0.1:" + std::to_string(peer_port_);
  io::ProcessOptions options;
  options.argv = {"etcd",
                  "--name",
                  "one",
                  "--data-dir",
                  folder_ + "/data",
                  "--listen-client-urls",
                  client,
                  "--advertise-client-urls",
                  client,
                  "--listen-peer-urls",
                  peer,
                  "--initial-advertise-peer-urls",
                  peer,
                  "--initial-cluster",
                  "one=" + peer,
                  "--initial-cluster-token",
                  token_,
                  "--heartbeat-interval",
                  "50",
                  "--election-timeout",
                  "500"};
  options.env["ETCD_UNSUPPORTED_ARCH"] = "arm64";
  options.output_file = folder_ + "/log";
  auto started = io::Process::Start(loop_, options);
  if (!started) return Fail(started.error());
  process_ = std::move(*started);
  return {};
}

io::Task<void> EtcdProcess::Kill() {
  (void)process_->Signal(SIGKILL);
  auto exit = co_await process_->WaitExit(Deadline::In(10s));
  (void)exit;
}

io::Task<void> EtcdProcess::LoseDisk() {
  co_await Kill();
  std::error_code ignored;
  std::filesystem::remove_all(folder_ + "/data", ignored);
  token_ = NewUuid();
}

Status EtcdProcess::Signal(int signal) { return process_->Signal(signal); }

}  // namespace paceline::topo::conformance
