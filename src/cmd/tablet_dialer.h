// cmd/tablet_dialer.h - vtgate's way to tablets: the native data plane where a tablet announces it
// in its port_map, Vitess gRPC otherwise. Threads: one loop.
#pragma once

#include <map>
#include <memory>

#include "io/loop.h"
#include "vtgate/gate.h"

namespace paceline::cmd {

class TabletDialer final : public vtgate::Gate::Dialer {
 public:
  explicit TabletDialer(io::Loop& loop) : loop_(loop) {}
  port::QueryServicePtr Dial(const record::Tablet& tablet) override;
  port::QueryServicePtr Last(const record::TabletAlias& alias) const override;

 private:
  io::Loop& loop_;
  std::map<record::TabletAlias, port::QueryServicePtr> last_;
};

}  // namespace paceline::cmd
