// topo/conformance/backend.h - what the conformance suite needs of a backend, beside Conn. For
// tests only.
#pragma once

#include <memory>
#include <string>

#include "io/loop.h"
#include "io/task.h"
#include "topo/conn.h"

namespace paceline::topo::conformance {

class Backend {
 public:
  virtual ~Backend() = default;
  // Connections with equal roots see the same files.
  virtual ConnPtr Open(std::string root) = 0;
  // From Cut to Heal no write of any connection is acknowledged.
  virtual io::Task<void> Cut() = 0;
  virtual io::Task<void> Heal() = 0;
  // The shortest lease that the store keeps to.
  virtual Duration ShortLease() const { return 1s; }
};

struct BackendKind {
  std::string name;
  // Null when its programs are not installed.
  std::unique_ptr<Backend> (*make)(io::Loop& loop);
};

std::unique_ptr<Backend> MakeMemory(io::Loop& loop);
std::unique_ptr<Backend> MakeEmbedded(io::Loop& loop);
std::unique_ptr<Backend> MakeEtcd(io::Loop& loop);

}  // namespace paceline::topo::conformance
