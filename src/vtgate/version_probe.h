// vtgate/version_probe.h - asks the first tablet that serves for its server's version, which
// clients are then told, and from which the flavor follows; until then it is the one that the local
// copy remembers. Threads: one loop.
#pragma once

#include <functional>
#include <string>

#include "io/sync.h"
#include "topo/cache.h"
#include "vtgate/session.h"

namespace paceline::vtgate {

// How long a new client waits for a gate that does not know yet what servers stand behind it.
inline constexpr Duration kVersionPatience = std::chrono::seconds(5);
// Until the version is known, or in vain until the deadline: false.
io::Task<bool> WaitForVersion(const GateContext& gate, Deadline deadline);

class VersionProbe {
 public:
  // `copy` may be null.
  VersionProbe(GateContext& gate, topo::Cache* copy) : gate_(gate), copy_(copy) {}
  // Goes on until a tablet has answered or Stop; then GateContext::server_version is set.
  void Start();
  io::Task<void> Stop(Deadline deadline);

 private:
  static io::Task<void> Run(VersionProbe& self);
  io::Task<Result<std::string>> Ask();
  void Tell(std::string version);
  GateContext& gate_;
  topo::Cache* copy_;
  io::Gate running_;
};

}  // namespace paceline::vtgate
