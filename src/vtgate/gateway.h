// vtgate/gateway.h - how a session finds a tablet, and where it waits while there is none. One
// Gateway per loop; the real one stands on the health room (vtgate/health_gateway.h), tests give
// their own. Threads: its loop.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/sync.h"
#include "io/task.h"
#include "port/query_service.h"
#include "record/record.h"
#include "vtgate/buffer.h"
#include "vtgate/replay_turns.h"

namespace paceline::vtgate {

// What was known of a primary when a request was sent to it. Immutable, shared.
struct PrimarySight {
  health::PrimaryTerm term;
  std::string position;  // TabletHealth::position
};

struct Chosen {
  port::QueryServicePtr service;
  record::TabletAlias alias;
  std::shared_ptr<const PrimarySight> primary;  // null for other types
};

// A line of SHOW VITESS_TABLETS.
struct TabletLine {
  record::Tablet tablet;
  record::TabletType type = record::TabletType::kUnknown;  // as its health says
  bool serving = false;
  Duration lag{0};
  WallTime primary_term_start;
  std::string error;
};

// One request's place in the buffer: taken when it first has to wait, kept until it ends. Lifetime:
// the gateway outlives it.
class BufferPlace {
 public:
  explicit BufferPlace(size_t bytes) : bytes_(bytes) {}
  ~BufferPlace() {
    EndReplay();
    if (buffer_ != nullptr) buffer_->Leave(bytes_);
  }
  BufferPlace(const BufferPlace&) = delete;
  // What Gateway::BeginReplay began.
  void EndReplay() {
    if (auto of = std::exchange(replays_of_, nullptr)) of->End();
  }
  // Ends its wait with kCanceled, now or the next time.
  void Interrupt() {
    interrupted_ = true;
    if (waits_for_ != nullptr) waits_for_->Pulse();
  }

 private:
  friend class HealthGateway;
  const size_t bytes_;
  Buffer* buffer_ = nullptr;
  Time until_;
  int refusals_ = 0;
  bool interrupted_ = false;
  io::Event* waits_for_ = nullptr;
  std::shared_ptr<ReplayTurns::Shard> replays_of_;  // null: it replays nothing
};

class Gateway {
 public:
  virtual ~Gateway() = default;
  // A serving tablet for the target, if there is one at this moment, and `place` need not let
  // others go first.
  virtual std::optional<Chosen> Pick(const record::Target& target, const BufferPlace& place) = 0;
  // After Pick found none, or (`refused`) a tablet that it gave refused or broke: until it is worth
  // picking again. For a primary that is away this is the buffer. Errors: kUnavailable, "no healthy
  // tablet ..." as Vitess words it and why: nothing came in time, or the request may not wait;
  // kCanceled: interrupted.
  virtual io::Task<Status> Wait(record::Target target, bool refused, BufferPlace* place,
                                Deadline deadline) = 0;
  // From here to EndReplay other requests of the shard, on all loops of the gate, let this one go
  // first.
  virtual void BeginReplay(const record::Target& target, BufferPlace* place) = 0;
  // The tablet that a pinned connection lives on, while it is known at all.
  virtual Result<Chosen> Find(const record::TabletAlias& alias) = 0;
  virtual std::vector<TabletLine> Tablets() const = 0;
};

}  // namespace paceline::vtgate
