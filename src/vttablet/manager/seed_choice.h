// vttablet/manager/seed_choice.h - whether a tablet needs another one's data, and whose is the
// cheapest that will do. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "gtid/set.h"
#include "mysqld/version.h"
#include "port/mysqlctl.h"
#include "record/record.h"

namespace paceline::vttablet {

// A tablet of the shard as it described itself a moment ago.
struct DonorSight {
  record::Tablet tablet;
  bool leads = false;  // the shard's primary, and serves as one
  bool mysqld_running = false;
  bool replicates = false;  // both threads run
  bool seeding = false;     // takes a seed itself
  std::optional<Duration> lag;
  gtid::Set executed;
  std::string server_version;
  uint64_t data_bytes = 0;
};

struct SeedSource {
  record::Tablet tablet;
  port::SeedOrder::Way way = port::SeedOrder::Way::kClone;
  uint64_t data_bytes = 0;
};
struct SeedChoice {
  std::vector<SeedSource> sources;  // the best first
  std::string refused;              // why others will not do: "zone1-0000000101: lags 80 s; ..."
  // There is a primary: what it has. A backup, which is the source of last resort, must be part of
  // it.
  std::optional<gtid::Set> leader_has;
  // Each of `sources` has just failed, or there are none.
  bool exhausted = true;
};
// Replicas before the primary, which has work enough; those with the least lag first. A donor must
// have nothing that the primary lacks, and the server must be able to read its files. `avoid`:
// aliases that have just failed, which come last.
SeedChoice ChooseSource(const std::vector<DonorSight>& sights, const mysqld::ServerVersion& own,
                        const std::vector<record::TabletAlias>& avoid);

// Whether a server without any transaction must be seeded to follow a primary. An empty text: it
// replicates from the beginning.
struct LeaderLogs {
  bool complete = false;  // reach back to an empty server
  uint64_t bytes = 0;
};
std::string WhySeedEmpty(const LeaderLogs& logs);
inline constexpr uint64_t kReplayBytesMax = 64u << 20;

}  // namespace paceline::vttablet
