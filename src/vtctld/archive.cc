// GetArchive: the archive of a shard's binary logs, for people.
#include "backup/archive.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/time_text.h"
#include "io/blocking.h"
#include "paceline_agent.pb.h"
#include "vtctld/method.h"

namespace paceline::vtctld {

namespace {

constexpr Duration kAnswer = 3s;

std::string FromSeconds(uint32_t unix_s) { return Rfc3339({unix_s * 1'000'000'000LL}); }

nlohmann::ordered_json DdlJson(const std::vector<backup::SegmentManifest>& manifests) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::set<std::string> seen;
  for (const backup::SegmentManifest& manifest : manifests) {
    for (const backup::ArchivedDdl& ddl : manifest.ddl) {
      if (!seen.insert(ddl.gtid).second) continue;  // archived twice
      list.push_back({{"time", FromSeconds(ddl.unix_s)},
                      {"gtid", ddl.gtid},
                      {"database", ddl.database},
                      {"statement", ddl.statement}});
    }
  }
  return list;
}

nlohmann::ordered_json SummaryJson(const std::vector<backup::SegmentManifest>& manifests) {
  nlohmann::ordered_json json;
  // What lies before its beginning is no gap of its own.
  backup::ArchivePosition position(manifests.empty() ? gtid::Set() : manifests.front().before);
  nlohmann::ordered_json gaps = nlohmann::ordered_json::array();
  std::set<std::string> runs;
  uint64_t transactions = 0, bytes = 0;
  uint32_t first = 0, last = 0;
  for (const backup::SegmentManifest& manifest : manifests) {
    if (!position.Covers(manifest.before)) gaps.push_back(position.Lacks(manifest.before));
    position.Add(manifest.before);
    position.Add(manifest.after);
    runs.insert(manifest.run);
    transactions += manifest.transactions;
    bytes += manifest.bytes;
    if (first == 0) first = manifest.first_unix_s;
    last = std::max(last, manifest.last_unix_s);
  }
  if (manifests.empty()) return nlohmann::ordered_json::object();
  json["from"] = manifests.front().before.ToEncoded();
  json["to"] = position.set().ToEncoded();
  json["gaps"] = gaps;
  json["first_time"] = FromSeconds(first);
  json["last_time"] = FromSeconds(last);
  json["runs"] = runs.size();
  json["segments"] = manifests.size();
  json["transactions"] = transactions;
  json["bytes"] = bytes;
  return json;
}

}  // namespace

io::Task<Status> Vtctld::DescribeArchive(record::KeyspaceShard shard, bool ddl, bool json,
                                         std::function<void(std::string)> told, Deadline deadline) {
  using Manifests = Result<std::vector<backup::SegmentManifest>>;
  std::function<Manifests()> read = [options = backups_, shard]() -> Manifests {
    ASSIGN_OR_RETURN(std::unique_ptr<backup::Storage> storage, backup::OpenStorage(options));
    ASSIGN_OR_RETURN(backup::Archive archive,
                     backup::Archive::Of(std::move(storage), shard.keyspace, shard.shard, ""));
    return archive.Manifests(gtid::Set());
  };
  Manifests manifests = co_await io::RunBlocking<Manifests>(std::move(read));
  if (!manifests) co_return Fail(manifests.error());
  if (ddl) {
    nlohmann::ordered_json list = DdlJson(*manifests);
    if (json) told(list.dump(2));
    for (const auto& one : list) {
      if (json) break;
      std::string database = one["database"].get<std::string>();
      told(fmt::format("{} {} {}: {}", one["time"].get<std::string>(),
                       one["gtid"].get<std::string>(), database.empty() ? "-" : database,
                       one["statement"].get<std::string>()));
    }
    co_return Status();
  }
  nlohmann::ordered_json summary = SummaryJson(*manifests);
  summary["archivers"] = nlohmann::ordered_json::array();
  Result<std::vector<Reached>> tablets = co_await ReachShard(shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  for (const Reached& one : *tablets) {
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered = co_await one.manager->TabletState(request, state,
                                                        Deadline::In(kAnswer).EarlierOf(deadline));
    if (!answered || !state.has_archive()) continue;
    const agent::Archiving& archive = state.archive();
    if (!archive.running() && archive.error().empty()) continue;
    summary["archivers"].push_back({{"tablet", one.tablet.alias.ToString()},
                                    {"running", archive.running()},
                                    {"position", archive.position()},
                                    {"lag_ms", archive.lag_ms()},
                                    {"error", archive.error()}});
  }
  if (json) {
    told(summary.dump(2));
    co_return Status();
  }
  for (const auto& [key, value] : summary.items()) {
    if (key == "archivers" || key == "gaps") continue;
    told(fmt::format("{}: {}", key, value.is_string() ? value.get<std::string>() : value.dump()));
  }
  if (manifests->empty()) told("nothing is archived");
  for (const auto& gap : summary.value("gaps", nlohmann::ordered_json::array()))
    told("gap: " + gap.get<std::string>() +
         " is missing; what a restore needs of it comes from a later backup");
  for (const auto& one : summary["archivers"]) {
    std::string error = one["error"].get<std::string>();
    told(fmt::format("archiver: {}, {:.1f} s behind{}{}", one["tablet"].get<std::string>(),
                     one["lag_ms"].get<double>() / 1000, error.empty() ? "" : ": ", error));
  }
  co_return Status();
}

}  // namespace paceline::vtctld
