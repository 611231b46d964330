// The product's deciders under seeded time, network, crashes, clock jumps and topology outages.
// PACELINE_SIM_SEEDS: how many seeds (2000). PACELINE_SIM_SEED: one alone, with its trace.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "base/strings.h"
#include "scenario.h"

namespace paceline::sim {
namespace {

uint64_t FromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = getenv(name);
  return text == nullptr ? otherwise : strtoull(text, nullptr, 10);
}

std::string Explain(uint64_t seed, Bug bug) {
  Outcome again = RunSeed(seed, bug, true);
  size_t from = again.trace.size() > 400 ? again.trace.size() - 400 : 0;
  std::string text = fmt::format("seed {}: {}\n", seed, again.violation);
  for (size_t i = from; i < again.trace.size(); ++i) text += again.trace[i] + "\n";
  return text +
         fmt::format("replay: PACELINE_SIM_SEED={} sim_test --gtest_filter=Sim.OneSeed\n", seed);
}

TEST(Sim, OneSeed) {
  uint64_t seed = FromEnvironment("PACELINE_SIM_SEED", 1);
  Outcome out = RunSeed(seed, Bug::kNone, true);
  if (getenv("PACELINE_SIM_SEED") != nullptr) {
    for (const std::string& line : out.trace) std::printf("%s\n", line.c_str());
  }
  EXPECT_EQ(out.violation, "");
}

TEST(Sim, ASeedReplaysExactly) {
  for (uint64_t seed : {3, 58, 1007}) {
    Outcome one = RunSeed(seed, Bug::kNone, true);
    Outcome two = RunSeed(seed, Bug::kNone, true);
    EXPECT_EQ(one.trace, two.trace) << seed;
    EXPECT_EQ(one.events, two.events) << seed;
    EXPECT_GT(one.trace.size(), 20u);
  }
}

TEST(Sim, SeedsFindNothingAndEveryFaultMeetsEveryStep) {
  const uint64_t seeds = FromEnvironment("PACELINE_SIM_SEEDS", 2000);
  size_t met[kFaults][kStepKinds] = {};
  uint64_t events = 0;
  int64_t committed = 0;
  Duration worst{0};
  int failed = 0;
  for (uint64_t seed = 1; seed <= seeds && failed < 3; ++seed) {
    Outcome out = RunSeed(seed, Bug::kNone, false);
    met[static_cast<size_t>(out.fault)][static_cast<size_t>(out.step)] += out.struck;
    events += out.events;
    committed += out.committed;
    worst = std::max(worst, out.healed_in);
    if (out.violation.empty()) continue;
    ++failed;
    ADD_FAILURE() << Explain(seed, Bug::kNone);
  }
  std::printf("%llu seeds, %llu events, %lld writes acknowledged, healed within %lld ms\n",
              static_cast<unsigned long long>(seeds), static_cast<unsigned long long>(events),
              static_cast<long long>(committed), static_cast<long long>(worst / 1ms));
  std::printf("%-30s", "fault met step");
  for (size_t step = 0; step < kStepKinds; ++step)
    std::printf("%9s", std::string(StepName(static_cast<StepKind>(step))).c_str());
  std::printf("\n");
  for (size_t fault = 0; fault < kFaults; ++fault) {
    std::printf("%-30s", std::string(FaultName(static_cast<Fault>(fault))).c_str());
    for (size_t step = 0; step < kStepKinds; ++step) {
      std::printf("%9zu", met[fault][step]);
      if (failed > 0 || seeds < 2000) continue;
      EXPECT_GT(met[fault][step], 0u) << FaultName(static_cast<Fault>(fault)) << " never met "
                                      << StepName(static_cast<StepKind>(step));
    }
    std::printf("\n");
  }
}

TEST(Sim, PlantedBugsAreCaught) {
  const uint64_t seeds = FromEnvironment("PACELINE_SIM_SEEDS", 2000);
  for (Bug bug : {Bug::kSkipFence, Bug::kPromoteMostLagging, Bug::kPublishBeforeWritable,
                  Bug::kUnknownIsFailure, Bug::kSameTermTwice, Bug::kGrantFromAnswer,
                  Bug::kWaitersReleased, Bug::kSequenceAlone}) {
    uint64_t caught = 0;
    std::string violation;
    for (uint64_t seed = 1; seed <= seeds && caught == 0; ++seed) {
      violation = RunSeed(seed, bug, false).violation;
      // Of safety, not of liveness.
      if (violation.starts_with("I")) caught = seed;
    }
    EXPECT_GT(caught, 0u) << BugName(bug);
    std::printf("%-45s caught by seed %llu: %s\n", std::string(BugName(bug)).c_str(),
                static_cast<unsigned long long>(caught), violation.c_str());
  }
}

}  // namespace
}  // namespace paceline::sim
