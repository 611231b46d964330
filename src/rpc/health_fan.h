// rpc/health_fan.h - one health stream of a QueryService, given to any number of gRPC subscribers.
#pragma once

#include <deque>
#include <memory>
#include <optional>

#include "io/sync.h"
#include "port/query_service.h"
#include "rpc/server.h"

namespace paceline::rpc {

// Threads: the service's loop. Shared, since its pump outlives a server that shuts down.
class HealthFan final : public port::HealthSink, public std::enable_shared_from_this<HealthFan> {
 public:
  explicit HealthFan(port::QueryService& service) : service_(service) {}
  // Serves one subscriber: the last state at once, then each change, until it leaves or the
  // service's stream ends.
  static io::Task<Status> Serve(std::shared_ptr<HealthFan> fan, ServerCall& call);

 private:
  // The newest messages; a subscriber that falls further behind skips to the newest.
  static constexpr size_t kKept = 64;

  void OnHealth(const port::TabletHealth& health) override;
  static io::Task<void> Pump(std::shared_ptr<HealthFan> fan);

  port::QueryService& service_;
  bool pumping_ = false;
  uint64_t next_ = 0;  // number of the message that comes next; kept_ ends before it
  std::deque<port::TabletHealth> kept_;
  Status ended_;
  io::Event changed_;
};

}  // namespace paceline::rpc
