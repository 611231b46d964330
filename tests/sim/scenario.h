// tests/sim/scenario.h - one seed: a shard under load loses its primary or is asked to change it;
// when the failover comes to a step picked by the seed, a fault picked by the seed strikes; then
// all is made well, and the shard must be. Threads: one.
#pragma once

#include <string>
#include <vector>

#include "coordinator.h"

namespace paceline::sim {

enum class Fault : uint8_t {
  kVttabletOfOldPrimary,
  kMysqldOfCandidate,
  kHostOfCandidate,
  kFreezeCandidate,
  kCutCandidate,
  kOneWayCandidate,
  kSlowLinks,
  kCutCoordinator,
  kKillCoordinator,
  kFreezeCoordinator,
  kTopologyAway,
  kClockJump,
  kOldPrimaryBack,
};
inline constexpr size_t kFaults = 13;
std::string_view FaultName(Fault fault);

struct Outcome {
  std::string violation;           // empty: clean
  std::vector<std::string> trace;  // when asked for
  bool struck = false;             // `fault` met `step`
  Fault fault = Fault::kVttabletOfOldPrimary;
  StepKind step = StepKind::kNone;
  uint64_t events = 0;
  int64_t committed = 0;
  Duration healed_in{0};  // after the faults had stopped
};

Outcome RunSeed(uint64_t seed, Bug bug, bool tracing);

}  // namespace paceline::sim
