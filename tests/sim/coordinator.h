// tests/sim/coordinator.h - a simulated vtorc: looks, diagnoses by vtorc/diagnose.h and drives
// reparent/decide.h to its end, as vtorc/vtorc.cc and drive/reparent_driver.cc do. Threads: one.
#pragma once

#include "shard.h"
#include "vtorc/diagnose.h"

namespace paceline::sim {

// Kinds of a failover's steps, as the table of faults has them.
enum class StepKind : uint8_t {
  kPromise,
  kFence,
  kWait,
  kCatchUp,
  kAttach,
  kPromote,
  kPublish,
  kRepointRest,
  kDemote,
  kNone
};
std::string_view StepName(StepKind kind);
inline constexpr size_t kStepKinds = 9;

// The topology's lock of the shard: it only avoids wasted work.
struct ShardLock {
  int holder = -1;
  Time until{0};
};

class Coordinator {
 public:
  Coordinator(Shard& shard, ShardLock& lock, int id, int host);
  Process& process() { return process_; }
  void Start();
  // By a person.
  void Reparent(reparent::Request request);
  bool driving() const { return driving_; }
  // Before a step is taken.
  std::function<void(Coordinator&, StepKind, const reparent::Step&)> on_step;

 private:
  using Seen = std::function<void()>;
  void LookLoop();
  void Observe(Seen then);
  void Mend(const vtorc::Problem& problem);
  void Drive(reparent::Request request, std::string key);
  void TryLock(reparent::Request request, std::string key, Time give_up);
  void Next(Time give_up);
  void Do(reparent::Step step, Time give_up);
  void Publish(const record::TabletAlias& primary, uint64_t term, std::function<void(bool)> done);
  void CallOne(const reparent::Step& step, const record::TabletAlias& alias, bool semi_sync,
               std::function<void(std::string)> done);
  void End(bool well, const std::string& why);
  void PlantBug(reparent::Step& step);

  Shard& shard_;
  World& world_;
  ShardLock& lock_;
  int id_;
  Process process_;
  reparent::View view_;
  ShardRecord record_;
  std::set<int> silent_;
  vtorc::Memory memory_;
  std::map<std::string, int> failures_;
  std::map<std::string, Time> not_before_;
  bool driving_ = false, locked_ = false;
  reparent::Request request_;
  reparent::Attempt attempt_;
  std::string key_;
};

}  // namespace paceline::sim
