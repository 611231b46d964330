// vtgate/health_gateway.h - the Gateway on what health streams tell: picks from a copy that is
// brought up to date with each message, and holds the buffer of requests whose primary is away.
// When one comes, transactions that are to be replayed go first, for a short time. Threads: its
// loop. Lifetime: `watcher` and `metrics` outlive it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <utility>

#include "health/watcher.h"
#include "io/sync.h"
#include "vtgate/failover_metrics.h"
#include "vtgate/gateway.h"

namespace paceline::vtgate {

class HealthGateway final : public Gateway {
 public:
  // `service_of` gives the client end that the dialer made last for a tablet; null when there is
  // none.
  using ServiceOf = std::function<port::QueryServicePtr(const record::TabletAlias&)>;
  // `turns` are those of all gateways of the gate.
  HealthGateway(health::Watcher& watcher, ServiceOf service_of, BufferOptions buffer,
                FailoverMetrics& metrics, std::shared_ptr<ReplayTurns> turns);
  ~HealthGateway() override;

  std::optional<Chosen> Pick(const record::Target& target, const BufferPlace& place) override;
  io::Task<Status> Wait(record::Target target, bool refused, BufferPlace* place,
                        Deadline deadline) override;
  void BeginReplay(const record::Target& target, BufferPlace* place) override;
  Result<Chosen> Find(const record::TabletAlias& alias) override;
  std::vector<TabletLine> Tablets() const override;

 private:
  static constexpr Duration kReplaysFirst = 500ms;
  // So long after a failover nobody but they is let in: another loop may see a moment later that it
  // has some.
  static constexpr Duration kReplaysMayCome = 5ms;
  struct Shard {
    std::optional<Chosen> primary;
    // Pulsed when the primary came, went or moved, or the last replay ended.
    std::shared_ptr<io::Event> changed = std::make_shared<io::Event>();
    std::shared_ptr<ReplayTurns::Shard> replays;
    Time replays_may_come_until, replays_until;
    // Until when others let replays go first; in the past: they need not.
    Time ClosedUntil(Time now) const {
      if (now >= replays_until) return Time();
      if (replays->count() > 0) return replays_until;
      return now < replays_may_come_until ? replays_may_come_until : Time();
    }
    bool Open(const BufferPlace& place, Time now) const {
      return primary && (place.replays_of_ != nullptr || ClosedUntil(now) <= now);
    }
  };
  struct ByNames {
    using is_transparent = void;
    using Names = std::pair<std::string_view, std::string_view>;
    static Names Of(const record::KeyspaceShard& shard) { return {shard.keyspace, shard.shard}; }
    static Names Of(const record::Target& target) { return {target.keyspace, target.shard}; }
    template <class A, class B>
    bool operator()(const A& a, const B& b) const {
      return Of(a) < Of(b);
    }
  };
  void OnHealth(const health::TabletStatus& status);
  // False when the deadline came first.
  static io::Task<bool> News(Shard* shard, BufferPlace* place, Deadline deadline);
  Status Enter(const record::Target& target, BufferPlace* place, Time now);
  Shard& ShardOf(const record::Target& target);
  std::string WhyNone(const record::Target& target) const;

  health::Watcher& watcher_;
  ServiceOf service_of_;
  Buffer buffer_;
  FailoverMetrics& metrics_;
  std::shared_ptr<ReplayTurns> turns_;
  std::map<record::KeyspaceShard, Shard, ByNames> shards_;
  int listener_ = 0;
};

}  // namespace paceline::vtgate
