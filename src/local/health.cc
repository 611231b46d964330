#include "local/health.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace paceline::local {
namespace {

using nlohmann::json;

// Protobuf's JSON has 64-bit numbers as texts.
int64_t Number(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end()) return 0;
  if (found->is_number()) return found->get<int64_t>();
  if (!found->is_string()) return 0;
  return static_cast<int64_t>(ParseUint(found->get<std::string>()).value_or(0));
}

bool Flag(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

std::string ProblemOf(const TabletHealth& tablet) {
  if (!tablet.error.empty()) {
    return fmt::format("{} does not answer ({}): see its log", tablet.alias, tablet.error);
  }
  if (tablet.type == "drained") {
    return fmt::format(
        "{} is drained and serves nothing: \"vtctldclient ChangeTabletType {} replica\" brings it "
        "back",
        tablet.alias, tablet.alias);
  }
  if (tablet.type != "primary" && tablet.type != "replica" && tablet.type != "rdonly") {
    return fmt::format("{} is {}: it serves once that has ended", tablet.alias, tablet.type);
  }
  if (!tablet.disk_error.empty()) {
    return fmt::format("{}: {}: make room, or mend the disk", tablet.alias, tablet.disk_error);
  }
  if (!tablet.serving) {
    return fmt::format("{} does not serve ({}): see its log", tablet.alias,
                       tablet.reason.empty() ? "no reason given" : tablet.reason);
  }
  if (tablet.replication_broken) {
    return fmt::format(
        "{}: its replication is stopped by an error: see it with \"vtctldclient GetFullStatus "
        "{}\", then StartReplication",
        tablet.alias, tablet.alias);
  }
  if (tablet.lag_s > kLagMaxS) {
    return fmt::format("{} lags {} s behind: wait, or see what it is busy with", tablet.alias,
                       tablet.lag_s);
  }
  return "";
}

}  // namespace

void Judge(const ClusterHealth& health, const std::string& keyspace_shard, Verdict& verdict) {
  auto primary = std::ranges::find_if(health.tablets, [](const TabletHealth& tablet) {
    return tablet.error.empty() && tablet.type == "primary";
  });
  std::string blocked;
  if (primary == health.tablets.end()) {
    blocked = fmt::format(
        "no tablet that answers is primary of {0}: vtorc elects one by itself; without it, "
        "\"vtctldclient EmergencyReparentShard {0}\"",
        keyspace_shard);
  } else if (!primary->serving || !primary->disk_error.empty()) {
    blocked = ProblemOf(*primary);
  } else if (health.primary.read_only) {
    blocked = fmt::format("{0} is primary and read-only: \"vtctldclient SetWritable {0} true\"",
                          primary->alias);
  } else if (health.primary.semi_sync && health.primary.replicas < health.primary.replicas_wanted) {
    blocked = fmt::format(
        "commits wait for {} replica that acknowledges them, {} is connected: bring a replica back",
        health.primary.replicas_wanted, health.primary.replicas);
  } else if (!health.gate_error.empty()) {
    blocked = fmt::format("vtgate does not answer ({}): see its log", health.gate_error);
  }
  if (!blocked.empty()) {
    verdict.writes = false;
    verdict.problems.push_back("no writes: " + blocked);
  }
  for (const TabletHealth& tablet : health.tablets) {
    std::string problem = ProblemOf(tablet);
    if (!problem.empty() && problem != blocked) verdict.problems.push_back(problem);
    if (tablet.error.empty() && !tablet.registered) {
      verdict.problems.push_back(
          fmt::format("{} runs but is not in the topology: its vttablet registers again when it is "
                      "started anew; stop it if it was deleted for good",
                      tablet.alias));
    }
  }
  if (!health.topology_error.empty())
    verdict.problems.push_back("vtctld does not answer: " + health.topology_error);
}

std::string HealthLine(const TabletHealth& tablet) {
  if (!tablet.error.empty()) return fmt::format("{}  does not answer", tablet.alias);
  std::string line = fmt::format("{}  {:<8} {}", tablet.alias, tablet.type,
                                 tablet.serving ? "SERVING" : "NOT_SERVING");
  if (tablet.type != "primary") line += fmt::format("  lag {} s", tablet.lag_s);
  if (tablet.replication_broken) line += "  replication stopped by an error";
  if (!tablet.disk_error.empty()) line += "  " + tablet.disk_error;
  if (!tablet.registered) line += "  not in the topology";
  if (!tablet.reason.empty()) line += "  " + tablet.reason;
  return line;
}

TabletHealth ReadTabletHealth(const std::string& alias, const std::string& vars,
                              const std::string& details) {
  TabletHealth tablet;
  tablet.alias = alias;
  json read = json::parse(vars, nullptr, false);
  if (!read.is_object() || !read.contains("TabletStateName")) {
    tablet.error = "its page tells nothing about a tablet";
    return tablet;
  }
  tablet.type = Lower(read.value("TabletType", std::string()));
  tablet.serving = read.value("TabletStateName", std::string()) == "SERVING";
  tablet.disk_error = read.value("DiskError", std::string());
  tablet.lag_s = Number(read, "replicationLagSec");
  tablet.replication_broken = Number(read, "ReplicationBroken") != 0;
  json state = json::parse(details, nullptr, false);
  if (!tablet.serving && state.is_array() && !state.empty() && state[0].is_object()) {
    // "REPLICA: Not Serving, mysqld does not run"
    std::string text = state[0].value("Value", std::string());
    size_t comma = text.find(", ");
    if (comma != std::string::npos) tablet.reason = text.substr(comma + 2);
  }
  return tablet;
}

PrimaryHealth ReadPrimaryHealth(const std::string& full_status) {
  PrimaryHealth primary;
  json read = json::parse(full_status, nullptr, false);
  if (!read.is_object()) return primary;
  if (read.contains("status") && read["status"].is_object()) read = json(read["status"]);
  primary.read_only = Flag(read, "read_only");
  primary.semi_sync = Flag(read, "semi_sync_primary_enabled");
  primary.replicas_wanted = Number(read, "semi_sync_wait_for_replica_count");
  primary.replicas = Number(read, "semi_sync_primary_clients");
  return primary;
}

}  // namespace paceline::local
