// vtgate/health_gateway.h - the Gateway on what health streams tell. Threads: its loop. Lifetime:
// `watcher` outlives it.
#pragma once

#include <functional>

#include "health/watcher.h"
#include "vtgate/gateway.h"

namespace paceline::vtgate {

class HealthGateway final : public Gateway {
 public:
  // `service_of` gives the client end that the dialer made last for a tablet; null when there is
  // none.
  using ServiceOf = std::function<port::QueryServicePtr(const record::TabletAlias&)>;
  // `primary_wait`: how long a request waits for a primary that is away.
  HealthGateway(health::Watcher& watcher, ServiceOf service_of, Duration primary_wait)
      : watcher_(watcher), service_of_(std::move(service_of)), primary_wait_(primary_wait) {}

  io::Task<Result<Chosen>> Choose(record::Target target, Deadline deadline) override;
  Result<Chosen> Find(const record::TabletAlias& alias) override;
  std::vector<TabletLine> Tablets() const override;

 private:
  health::Watcher& watcher_;
  ServiceOf service_of_;
  Duration primary_wait_;
};

}  // namespace paceline::vtgate
