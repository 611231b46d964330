// vtgate/version_probe.h - asks the first tablet that serves for its server's version, which
// clients are then told, and from which the flavor follows. Threads: one loop.
#pragma once

#include <functional>
#include <string>

#include "io/sync.h"
#include "vtgate/session.h"

namespace paceline::vtgate {

class VersionProbe {
 public:
  explicit VersionProbe(GateContext& gate) : gate_(gate) {}
  // Goes on until a tablet has answered or Stop; then GateContext::server_version is set.
  void Start() { io::Detach(Run(*this)); }
  io::Task<void> Stop(Deadline deadline);

 private:
  static io::Task<void> Run(VersionProbe& self);
  io::Task<Result<std::string>> Ask();
  GateContext& gate_;
  io::Gate running_;
};

}  // namespace paceline::vtgate
