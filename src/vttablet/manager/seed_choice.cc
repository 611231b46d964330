#include "vttablet/manager/seed_choice.h"

#include <algorithm>

namespace paceline::vttablet {
namespace {

using Way = port::SeedOrder::Way;

// Empty: it will do.
std::string WhyNot(const DonorSight& sight, const DonorSight& leader,
                   const mysqld::ServerVersion& own) {
  if (!sight.mysqld_running) return "its mysqld does not run";
  if (sight.seeding) return "it takes a seed itself";
  Result<mysqld::ServerVersion> version = mysqld::ParseVersionText(sight.server_version);
  if (!version) return "its server's version is not known";
  bool same_files = version->flavor == own.flavor && version->major == own.major &&
                    version->minor == own.minor && (own.mariadb() || version->patch == own.patch);
  if (!same_files)
    return fmt::format("it runs {}, this tablet {}", version->ToString(), own.ToString());
  if (sight.leads) return "";
  if (!sight.replicates) return "it does not replicate";
  if (!sight.lag || *sight.lag > 60s) return "it lags";
  if (!leader.executed.Contains(sight.executed)) return "it has what the primary lacks";
  return "";
}

}  // namespace

SeedChoice ChooseSource(const std::vector<DonorSight>& sights, const mysqld::ServerVersion& own,
                        const std::vector<record::TabletAlias>& avoid) {
  SeedChoice choice;
  auto leader = std::ranges::find_if(sights, &DonorSight::leads);
  if (leader == sights.end()) {
    choice.refused = "the shard has no primary to follow afterwards";
    return choice;
  }
  choice.leader_has = leader->executed;
  std::vector<const DonorSight*> fit;
  for (const DonorSight& sight : sights) {
    std::string why = WhyNot(sight, *leader, own);
    if (why.empty()) {
      fit.push_back(&sight);
    } else {
      choice.refused += fmt::format("{}{}: {}", choice.refused.empty() ? "" : "; ",
                                    sight.tablet.alias.ToString(), why);
    }
  }
  auto failed = [&](const DonorSight* sight) {
    return std::ranges::find(avoid, sight->tablet.alias) != avoid.end();
  };
  choice.exhausted = std::ranges::all_of(fit, failed);
  auto rank = [&](const DonorSight* sight) {
    return std::tuple(failed(sight), sight->leads, sight->lag.value_or(Duration(0)) / 5s,
                      sight->tablet.alias);
  };
  std::ranges::sort(fit, [&](auto* a, auto* b) { return rank(a) < rank(b); });
  for (const DonorSight* sight : fit) {
    Way way = own.mariadb() ? Way::kMariabackup : Way::kClone;
    choice.sources.push_back({sight->tablet, way, sight->data_bytes});
  }
  return choice;
}

std::string WhySeedEmpty(const LeaderLogs& logs) {
  if (!logs.complete)
    return "it is empty, and the primary's binary logs do not reach back to the beginning";
  if (logs.bytes > kReplayBytesMax) {
    return fmt::format("it is empty, and the primary's binary logs hold {} MB", logs.bytes >> 20);
  }
  return "";
}

}  // namespace paceline::vttablet
