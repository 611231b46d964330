#include "reparent/model.h"

#include <gtest/gtest.h>

#include <functional>
#include <unordered_set>

#include "base/rng.h"
#include "base/strings.h"

namespace paceline::reparent::model {
namespace {

Request Emergency() { return {.action = Action::kEmergency}; }
Request Planned() { return {.action = Action::kPlanned}; }

void LetReplicasReceive(World& world) {
  bool more = true;
  for (int i = 0; i < 100 && more; ++i) {
    more = false;
    for (World::Event event : world.Events()) {
      if (event.kind != 'r') continue;
      world.Do(event);
      more = true;
      break;
    }
  }
}

// One coordinator alone, nothing fails: it must end, and well; at the second time where it undid a
// first attempt, because commits of a living primary waited for a replica.
std::string RunAlone(World world) {
  world.tracing = true;
  world.writes_left = world.faults_left = world.crashes_left = 0;
  for (int run = 0; run < 2; ++run) {
    world.coordinators.assign(1, Coordinator{});
    world.coordinators[0].request = Emergency();
    for (int i = 0; i < 500 && !world.coordinators[0].over; ++i) world.Do({'c', 0});
    if (world.coordinators[0].done) break;
    LetReplicasReceive(world);
  }
  const Tab& primary = world.tabs[static_cast<size_t>(world.shard_primary)];
  bool good = world.coordinators[0].done && primary.leads && !primary.read_only && primary.serving;
  if (!world.violation.empty()) return world.violation;
  if (good) return {};
  return "run again, it does not heal: " + Join(world.trace, "\n");
}

struct Explored {
  size_t states = 0, ends = 0, done = 0;
  std::string violation;
};

// Every order of events from `start`, depth first. Each end must heal when run again.
// Terms above `term_max` are not followed: two coordinators without a lock may outbid each other
// for long.
Explored Explore(World start, size_t states_max, uint64_t term_max) {
  Explored out;
  std::unordered_set<size_t> seen;
  std::vector<World> stack = {std::move(start)};
  while (!stack.empty() && out.violation.empty() && out.states < states_max) {
    World world = std::move(stack.back());
    stack.pop_back();
    if (!seen.insert(std::hash<std::string>()(world.Key())).second) continue;
    ++out.states;
    uint64_t term = 0;
    for (const Tab& tab : world.tabs) term = std::max(term, tab.promised);
    out.violation = world.violation;
    if (!out.violation.empty()) out.violation += "\n" + Join(world.trace, "\n");
    if (term > term_max && out.violation.empty()) continue;
    bool over = true;
    for (const Coordinator& coordinator : world.coordinators) over &= coordinator.over;
    if (over) {
      ++out.ends;
      for (const Coordinator& coordinator : world.coordinators) out.done += coordinator.done;
      World healed = world;
      healed.Heal();
      if (out.violation.empty()) out.violation = RunAlone(healed);
      continue;
    }
    for (World::Event event : world.Events()) {
      World next = world;
      next.Do(event);
      stack.push_back(std::move(next));
    }
  }
  return out;
}

World Small(std::vector<Request> requests, Bug bug, int writes, int faults, int crashes) {
  World world(3, std::move(requests));
  world.bug = bug;
  world.writes_left = writes;
  world.faults_left = faults;
  world.crashes_left = crashes;
  world.tracing = true;
  return world;
}

void ExpectClean(World world, size_t states_max, const char* what, uint64_t term_max = 100) {
  Explored out = Explore(std::move(world), states_max, term_max);
  EXPECT_EQ(out.violation, "") << what;
  EXPECT_LT(out.states, states_max) << what << ": not exhausted";
  EXPECT_GT(out.done, 0u) << what;
  std::printf("%s: %zu states, %zu ends, %zu of them done\n", what, out.states, out.ends, out.done);
}

TEST(Model, PlannedRunsThrough) {
  World world = Small({Planned()}, Bug::kNone, 0, 0, 0);
  world.tracing = true;
  for (int i = 0; i < 200 && !world.coordinators[0].over; ++i) world.Do({'c', 0});
  EXPECT_TRUE(world.coordinators[0].done) << Join(world.trace, "\n");
  EXPECT_EQ(world.violation, "");
  EXPECT_NE(world.shard_primary, 0);
}

TEST(Model, OneCoordinatorCrashesAnywhere) {
  ExpectClean(Small({Planned()}, Bug::kNone, 1, 1, 1), 1'000'000, "planned");
  ExpectClean(Small({Emergency()}, Bug::kNone, 1, 1, 1), 1'000'000, "emergency");
}

TEST(Model, TwoCoordinatorsWithoutALock) {
  Request one = Emergency(), two = Emergency();
  one.new_primary = World::Alias(1);
  two.new_primary = World::Alias(2);
  World world = Small({one, two}, Bug::kNone, 1, 0, 0);
  world.whole_steps = true;
  ExpectClean(world, 400'000, "two emergencies", 4);
  World fault = Small({Emergency(), Planned()}, Bug::kNone, 0, 1, 0);
  fault.whole_steps = true;
  ExpectClean(fault, 800'000, "emergency and planned, one fault", 3);
}

// Seeds walk what is too wide to exhaust: more tablets, writes, faults and crashes.
std::string Simulate(uint64_t seed, Bug bug) {
  SeededRng rng(seed);
  int tablets = 2 + static_cast<int>(rng.Below(4));
  auto pick = [&rng] { return rng.Below(2) ? Emergency() : Planned(); };
  World world(tablets, {pick(), pick()});
  for (int i = 0; i < 2; ++i) {
    if (rng.Below(2))
      world.coordinators[static_cast<size_t>(i)].request.new_primary =
          World::Alias((i + 1) % tablets);
  }
  world.bug = bug;
  bool mariadb = bug == Bug::kSequenceAlone || rng.Below(2) == 0;
  if (mariadb) world.flavor = gtid::Flavor::kMariadb;
  if (mariadb) world.tabs[0].acks = 1;
  world.writes_left = 4;
  world.faults_left = static_cast<int>(rng.Below(2));
  world.crashes_left = 2;
  world.tracing = true;
  for (int i = 0; i < 2000 && world.violation.empty(); ++i) {
    bool over = true;
    for (const Coordinator& coordinator : world.coordinators) over &= coordinator.over;
    if (over) break;
    std::vector<World::Event> events = world.Events();
    world.Do(events[rng.Below(events.size())]);
  }
  if (!world.violation.empty()) return world.violation + "\n" + Join(world.trace, "\n");
  for (const Coordinator& coordinator : world.coordinators) {
    if (!coordinator.over) return "does not end\n" + Join(world.trace, "\n");
  }
  world.Heal();
  std::string again = RunAlone(world);
  if (!again.empty()) return Join(world.trace, "\n") + "\n== healed\n" + again;
  return {};
}

TEST(Model, SeedsFindNothing) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    ASSERT_EQ(Simulate(seed, Bug::kNone), "") << "seed " << seed;
  }
}

TEST(Model, PlantedBugsAreCaught) {
  for (Bug bug :
       {Bug::kSkipFence, Bug::kPromoteMostLagging, Bug::kPublishBeforeWritable, Bug::kSameTermTwice,
        Bug::kGrantFromAnswer, Bug::kPromiseForgotten, Bug::kWaitersReleased}) {
    uint64_t caught = 0;
    std::string violation;
    for (uint64_t seed = 1; seed <= 6000 && caught == 0; ++seed) {
      violation = Simulate(seed, bug);
      if (violation.starts_with("I")) caught = seed;
    }
    EXPECT_GT(caught, 0u) << BugName(bug);
    std::printf("%s: caught by seed %llu: %s\n", std::string(BugName(bug)).c_str(),
                static_cast<unsigned long long>(caught),
                violation.substr(0, violation.find('\n')).c_str());
  }
}

// A primary dies with writes that nobody else has, and its successor writes as many: by sequence
// alone the two logs are the same, and the old primary is fit to lead again.
std::string ReturnWithAsMany(Bug bug) {
  World world(3, {Emergency(), Planned()});
  world.coordinators[1].request.new_primary = World::Alias(0);
  world.flavor = gtid::Flavor::kMariadb;
  world.bug = bug;
  world.tracing = true;
  world.writes_left = 3;
  world.faults_left = 1;
  auto run = [&world](int who) {
    for (int i = 0; i < 200 && !world.coordinators[static_cast<size_t>(who)].over; ++i)
      world.Do({'c', who});
  };
  world.Do({'w', 0});
  world.Do({'w', 0});
  world.Do({'m', 0});
  run(0);
  world.Do({'w', world.shard_primary});
  LetReplicasReceive(world);
  world.Do({'z', 0});
  LetReplicasReceive(world);
  run(1);
  bool back = world.coordinators[1].done && world.shard_primary == 0;
  if (world.violation.empty() && !back) return Join(world.trace, "\n");
  return world.violation;
}

TEST(Model, MariadbSetsAreComparedPerServer) {
  EXPECT_EQ(ReturnWithAsMany(Bug::kNone), "");
  std::string violation = ReturnWithAsMany(Bug::kSequenceAlone);
  EXPECT_TRUE(violation.starts_with("I")) << violation;
  std::printf("%s: %s\n", std::string(BugName(Bug::kSequenceAlone)).c_str(), violation.c_str());
}

}  // namespace
}  // namespace paceline::reparent::model
