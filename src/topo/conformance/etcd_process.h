// topo/conformance/etcd_process.h - a real etcd for tests: on free loopback ports, with its data in
// a folder of its own, stopped, killed and started again at will. Threads: one loop. For tests
// only.
#pragma once

#include <memory>
#include <string>

#include "io/process.h"
#include "io/task.h"

namespace paceline::topo::conformance {

class EtcdProcess {
 public:
  // Uses the etcd that is first in PATH.
  explicit EtcdProcess(io::Loop& loop);
  ~EtcdProcess();
  // Errors: kNotFound when no etcd is installed.
  Status Start();
  // SIGKILL, and waits until it is gone.
  io::Task<void> Kill();
  // Killed, and its data deleted: what Start starts then is another cluster.
  io::Task<void> LoseDisk();
  Status Signal(int signal);
  // "127.0.0.1:port"
  std::string endpoint() const { return "127.0.0.1:" + std::to_string(client_port_); }

 private:
  io::Loop& loop_;
  std::string folder_, token_;
  uint16_t client_port_ = 0, peer_port_ = 0;
  std::unique_ptr<io::Process> process_;
};

}  // namespace paceline::topo::conformance
