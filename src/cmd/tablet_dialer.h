// cmd/tablet_dialer.h - vtgate's way to tablets: the native data plane where a tablet announces it
// in its port_map, Vitess gRPC otherwise, and no way at all to one of its own process. Threads: one
// loop.
#pragma once

#include <map>
#include <memory>

#include "cmd/common_flags.h"
#include "io/loop.h"
#include "vtgate/gate.h"

namespace paceline::cmd {

class TabletDialer final : public vtgate::Gate::Dialer {
 public:
  // `own`: the query service that this process itself has for `own_alias` on this loop; null: none.
  TabletDialer(io::Loop& loop, PeerTlsFlags tls, record::TabletAlias own_alias = {},
               port::QueryService* own = nullptr)
      : loop_(loop), tls_(std::move(tls)), own_alias_(std::move(own_alias)), own_(own) {}
  port::QueryServicePtr Dial(const record::Tablet& tablet) override;
  port::QueryServicePtr Last(const record::TabletAlias& alias) const override;

 private:
  io::Loop& loop_;
  PeerTlsFlags tls_;
  record::TabletAlias own_alias_;
  port::QueryService* own_;
  std::map<record::TabletAlias, port::QueryServicePtr> last_;
};

}  // namespace paceline::cmd
