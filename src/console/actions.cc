#include "console/actions.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>

#include "access/commands.h"
#include "base/check.h"
#include "base/strings.h"

namespace paceline::console {

using Json = nlohmann::json;
using health::TabletStatus;
using record::KeyspaceShard;
using record::TabletType;

namespace {

constexpr Duration kLongWork = 12h;
constexpr Duration kNoticeableLag = 5s;

struct Asked {
  const World& world;
  const Json& arguments;
  Plan plan;

  std::string Text(const char* name) const {
    const auto found = arguments.find(name);
    return found != arguments.end() && found->is_string() ? found->get<std::string>() : "";
  }
  bool Flag(const char* name) const {
    const auto found = arguments.find(name);
    return found != arguments.end() && found->is_boolean() && found->get<bool>();
  }
  Result<std::string> Needed(const char* name) const {
    std::string text(Trim(Text(name)));
    if (text.empty()) return Fail(Code::kInvalidArgument, "the argument \"{}\" is missing", name);
    return text;
  }
  void Step(std::string text) { plan.steps.push_back(std::move(text)); }
  void Warn(std::string text) { plan.warnings.push_back(std::move(text)); }
  void Refuse(std::string text) {
    if (plan.refused.empty()) plan.refused = std::move(text);
  }
};

std::string Name(const TabletStatus& tablet) { return tablet.tablet.alias.ToString(); }

std::string LagText(const TabletStatus& tablet) {
  return fmt::format("{:.1f} s", std::chrono::duration<double>(tablet.replication_lag).count());
}

struct ShardNow {
  KeyspaceShard name;
  record::TabletAlias primary;
  const TabletStatus* primary_tablet = nullptr;  // null: there is none, or its record is gone
  std::vector<const TabletStatus*> others;
};

Result<ShardNow> FindShard(const Asked& asked) {
  ASSIGN_OR_RETURN(const std::string text, asked.Needed("shard"));
  ShardNow now;
  ASSIGN_OR_RETURN(now.name, record::ParseKeyspaceShard(text));
  const auto found = asked.world.shards.find(now.name);
  if (found == asked.world.shards.end()) return Fail(Code::kNotFound, "there is no shard {}", text);
  now.primary = found->second.primary_alias;
  for (const TabletStatus& tablet : asked.world.tablets) {
    if (tablet.tablet.keyspace != now.name.keyspace || tablet.tablet.shard != now.name.shard) {
      continue;
    }
    if (tablet.tablet.alias == now.primary) {
      now.primary_tablet = &tablet;
    } else {
      now.others.push_back(&tablet);
    }
  }
  return now;
}

Result<const TabletStatus*> FindTablet(const Asked& asked, const char* argument) {
  ASSIGN_OR_RETURN(const std::string text, asked.Needed(argument));
  ASSIGN_OR_RETURN(const record::TabletAlias alias, record::ParseTabletAlias(text));
  const auto found = std::ranges::find_if(asked.world.tablets, [&](const TabletStatus& tablet) {
    return tablet.tablet.alias == alias;
  });
  if (found == asked.world.tablets.end()) {
    return Fail(Code::kNotFound, "there is no tablet {}", text);
  }
  return &*found;
}

// The tablet named as the new primary, if one is. Errors: it is not of the shard.
Result<const TabletStatus*> NewPrimary(Asked& asked, const ShardNow& shard) {
  if (asked.Text("new_primary").empty()) return nullptr;
  ASSIGN_OR_RETURN(const TabletStatus* chosen, FindTablet(asked, "new_primary"));
  if (chosen->tablet.keyspace != shard.name.keyspace || chosen->tablet.shard != shard.name.shard) {
    return Fail(Code::kInvalidArgument, "{} is a tablet of {}/{}, not of {}", Name(*chosen),
                chosen->tablet.keyspace, chosen->tablet.shard, shard.name.ToString());
  }
  if (!chosen->connected) asked.Refuse(Name(*chosen) + " does not answer");
  asked.plan.words.insert(asked.plan.words.end(), {"--new-primary", Name(*chosen)});
  return chosen;
}

void OthersFollow(Asked& asked, const ShardNow& shard, const TabletStatus* chosen) {
  for (const TabletStatus* tablet : shard.others) {
    if (tablet == chosen) continue;
    if (tablet->connected) {
      asked.Step(fmt::format("{} follows the new primary (it lags {} now)", Name(*tablet),
                             LagText(*tablet)));
    } else {
      asked.Warn(Name(*tablet) + " does not answer; it follows when it is back");
    }
  }
}

Status PlannedReparent(Asked& asked) {
  ASSIGN_OR_RETURN(const ShardNow shard, FindShard(asked));
  asked.plan.target = shard.name.ToString();
  asked.plan.limit = 3min;
  asked.plan.words = {"PlannedReparentShard", asked.plan.target};
  ASSIGN_OR_RETURN(const TabletStatus* chosen, NewPrimary(asked, shard));
  const std::string next = chosen == nullptr ? "the best replica" : Name(*chosen);
  if (chosen != nullptr && chosen == shard.primary_tablet) {
    asked.Refuse(next + " leads already");
  }
  if (shard.primary.empty()) {
    asked.Step("the shard has no primary yet: " + next + " becomes its first");
  } else {
    const std::string old = shard.primary.ToString();
    asked.plan.words.insert(asked.plan.words.end(), {"--expected-primary", old});
    if (shard.primary_tablet == nullptr || !shard.primary_tablet->connected) {
      asked.Refuse(old +
                   " leads but does not answer: use an emergency reparent, or let vtorc do it");
    }
    asked.Step(old + " stops taking writes; vtgate lets clients wait meanwhile");
    asked.Step(next + " applies all that " + old + " has written" +
               (chosen == nullptr ? "" : " (it lags " + LagText(*chosen) + " now)"));
    asked.Step(next + " becomes the primary and takes writes");
    asked.Step(old + " follows it as a replica");
    if (chosen != nullptr && chosen->tablet.alias.cell != shard.primary.cell) {
      asked.plan.words.emplace_back("--allow-cross-cell-promotion");
      asked.Warn(fmt::format("the primary moves from cell {} to cell {}", shard.primary.cell,
                             chosen->tablet.alias.cell));
    }
  }
  if (chosen != nullptr && chosen->replication_lag > kNoticeableLag) {
    asked.Warn(fmt::format("{} lags {}: clients wait about so long", next, LagText(*chosen)));
  }
  const bool any = std::ranges::any_of(
      shard.others, [](const TabletStatus* tablet) { return tablet->connected; });
  if (!shard.primary.empty() && !any) asked.Refuse("no other tablet of the shard answers");
  OthersFollow(asked, shard, chosen);
  return {};
}

Status EmergencyReparent(Asked& asked) {
  ASSIGN_OR_RETURN(const ShardNow shard, FindShard(asked));
  asked.plan.target = shard.name.ToString();
  asked.plan.confirm = asked.plan.target;
  asked.plan.limit = 3min;
  asked.plan.words = {"EmergencyReparentShard", asked.plan.target};
  ASSIGN_OR_RETURN(const TabletStatus* chosen, NewPrimary(asked, shard));
  const std::string old = shard.primary.empty() ? "the old primary" : shard.primary.ToString();
  if (shard.primary_tablet != nullptr && shard.primary_tablet->healthy()) {
    asked.Warn(old + " is healthy: a planned reparent moves its role without any risk");
  }
  asked.Step("all tablets that answer promise to take nothing more from " + old);
  asked.Step(chosen == nullptr ? "the tablet with the most transactions is chosen"
                               : Name(*chosen) + " gets what it lacks from the others");
  asked.Step((chosen == nullptr ? "it" : Name(*chosen)) + " becomes the primary and takes writes");
  asked.Step(old + " is fenced; when it is back it follows as a replica");
  OthersFollow(asked, shard, chosen);
  const bool any = std::ranges::any_of(
      shard.others, [](const TabletStatus* tablet) { return tablet->connected; });
  if (!any) asked.Refuse("no other tablet of the shard answers");
  if (asked.Flag("force")) {
    asked.plan.words.emplace_back("--force");
    asked.Warn("forced: transactions that only missing tablets have are lost");
  }
  return {};
}

Status Backup(Asked& asked) {
  asked.plan.limit = kLongWork;
  if (asked.Text("tablet").empty()) {
    ASSIGN_OR_RETURN(const ShardNow shard, FindShard(asked));
    asked.plan.target = shard.name.ToString();
    asked.plan.words = {"BackupShard", asked.plan.target};
    asked.Step("a replica of " + asked.plan.target + " is chosen: the one that lags least");
  } else {
    ASSIGN_OR_RETURN(const TabletStatus* tablet, FindTablet(asked, "tablet"));
    asked.plan.target = Name(*tablet);
    asked.plan.words = {"Backup", asked.plan.target};
    if (!tablet->connected) asked.Refuse(asked.plan.target + " does not answer");
    if (tablet->target.type == TabletType::kPrimary) {
      if (asked.Flag("allow_primary")) {
        asked.plan.words.emplace_back("--allow-primary");
        asked.Warn(asked.plan.target +
                   " is the primary: its clients share the disk with the backup");
      } else {
        asked.Refuse(asked.plan.target + " is the primary: back up a replica, or allow it");
      }
    }
  }
  asked.Step("its data is copied and sent to the backup storage");
  asked.Step("the backup is listed once it is whole");
  return {};
}

Status Restore(Asked& asked) {
  ASSIGN_OR_RETURN(const TabletStatus* tablet, FindTablet(asked, "tablet"));
  const std::string name = Name(*tablet);
  const std::string time = asked.Text("timestamp");
  asked.plan.target = asked.plan.confirm = name;
  asked.plan.limit = kLongWork;
  asked.plan.words = {"RestoreFromBackup", name};
  if (!time.empty()) {
    asked.plan.words.insert(asked.plan.words.end(), {"--backup-timestamp", time});
  }
  if (tablet->target.type == TabletType::kPrimary) {
    asked.Refuse(name + " is the primary: move its role first");
  }
  if (!tablet->connected) asked.Refuse(name + " does not answer");
  const bool another = std::ranges::any_of(asked.world.tablets, [&](const TabletStatus& other) {
    return other.tablet.keyspace == tablet->tablet.keyspace &&
           other.tablet.shard == tablet->tablet.shard && &other != tablet && other.healthy() &&
           other.target.type == TabletType::kReplica;
  });
  if (!another)
    asked.Warn("no other replica of the shard is healthy: none can take over meanwhile");
  asked.Step(name + " leaves the service");
  asked.Step(
      "its data is deleted and replaced by " +
      (time.empty() ? "the newest backup of its shard" : "the newest backup not after " + time));
  asked.Step("it catches up from the primary and serves again as a replica");
  return {};
}

Status ChangeType(Asked& asked) {
  ASSIGN_OR_RETURN(const TabletStatus* tablet, FindTablet(asked, "tablet"));
  ASSIGN_OR_RETURN(const std::string text, asked.Needed("type"));
  ASSIGN_OR_RETURN(const TabletType type, record::ParseTabletType(text));
  const std::string name = Name(*tablet);
  const std::string before(record::TabletTypeName(tablet->target.type));
  const std::string after(record::TabletTypeName(type));
  asked.plan.target = name;
  asked.plan.words = {"ChangeTabletType", name, after};
  if (type == TabletType::kPrimary || tablet->target.type == TabletType::kPrimary) {
    asked.Refuse("a primary changes by a planned reparent");
  }
  if (type == tablet->target.type) asked.Refuse(name + " is of this type already");
  if (!tablet->connected) asked.Refuse(name + " does not answer");
  asked.Step(fmt::format("{} becomes {} and is no longer {}", name, after, before));
  if (type == TabletType::kDrained || type == TabletType::kSpare) {
    asked.Step("vtgate sends it no more reads");
  }
  if (type != TabletType::kReplica && tablet->target.type == TabletType::kReplica) {
    asked.Warn(name + " can no longer be chosen as primary");
  }
  return {};
}

Status Replication(Asked& asked, bool start) {
  ASSIGN_OR_RETURN(const TabletStatus* tablet, FindTablet(asked, "tablet"));
  asked.plan.target = Name(*tablet);
  asked.plan.words = {start ? "StartReplication" : "StopReplication", asked.plan.target};
  if (tablet->target.type == TabletType::kPrimary) {
    asked.Refuse(asked.plan.target + " is the primary: it follows nobody");
  }
  if (start) {
    asked.Step(asked.plan.target + " receives and applies its primary's writes again");
  } else {
    asked.Step(asked.plan.target + " stops receiving and applying its primary's writes");
    asked.Warn("vtorc starts it again unless its shard is in maintenance");
  }
  return {};
}

Status Maintain(Asked& asked) {
  ASSIGN_OR_RETURN(asked.plan.target, asked.Needed("name"));
  const std::string what = asked.plan.target == "*" ? "the whole cluster" : asked.plan.target;
  if (asked.plan.target.find_first_of(" \n") != std::string::npos) {
    return Fail(Code::kInvalidArgument, "\"{}\": use *, a keyspace or keyspace/shard",
                asked.plan.target);
  }
  if (asked.Flag("on")) {
    ASSIGN_OR_RETURN(const std::string why, asked.Needed("why"));
    asked.plan.words = {"SetMaintenance", "--why=" + why, "on", asked.plan.target};
    asked.Step(fmt::format("every vtorc goes on watching {} but heals nothing there", what));
    asked.Warn("a primary that dies meanwhile is not replaced until you end the maintenance");
  } else {
    asked.plan.words = {"SetMaintenance", "off", asked.plan.target};
    asked.Step(fmt::format("every vtorc heals {} again, at once where something is wrong", what));
  }
  return {};
}

bool MayDestroy(std::string_view sql) {
  const std::string lower = Lower(sql);
  return lower.find("drop") != std::string::npos || lower.find("truncate") != std::string::npos;
}

Status ApplySchema(Asked& asked) {
  ASSIGN_OR_RETURN(const std::string keyspace, asked.Needed("keyspace"));
  ASSIGN_OR_RETURN(const std::string sql, asked.Needed("sql"));
  asked.plan.target = keyspace;
  asked.plan.limit = 1h;
  asked.plan.words = {"ApplySchema", "--sql", sql, keyspace};
  bool found = false;
  for (const auto& [name, shard] : asked.world.shards) {
    if (name.keyspace != keyspace) continue;
    found = true;
    const auto primary = std::ranges::find_if(asked.world.tablets, [&](const TabletStatus& tablet) {
      return tablet.tablet.alias == shard.primary_alias;
    });
    if (primary == asked.world.tablets.end() || !primary->healthy()) {
      asked.Refuse(name.ToString() + " has no healthy primary");
    } else {
      asked.Step(fmt::format("{} (primary of {}) runs the statements; its replicas follow",
                             Name(*primary), name.ToString()));
    }
  }
  if (!found) return Fail(Code::kNotFound, "there is no keyspace {} with a shard", keyspace);
  asked.Step("all tablets read their schema anew");
  asked.Warn("a change that copies a large table keeps replicas behind for as long as it takes");
  if (MayDestroy(sql)) {
    asked.Warn("this deletes data");
    asked.plan.confirm = keyspace;
  }
  return {};
}

Status ApplyVSchema(Asked& asked) {
  ASSIGN_OR_RETURN(const std::string keyspace, asked.Needed("keyspace"));
  ASSIGN_OR_RETURN(const std::string vschema, asked.Needed("vschema"));
  if (!Json::accept(vschema)) return Fail(Code::kInvalidArgument, "the VSchema is not JSON");
  asked.plan.target = keyspace;
  asked.plan.words = {"ApplyVSchema", "--vschema", vschema, keyspace};
  asked.Step("the VSchema of " + keyspace + " is replaced as a whole");
  asked.Step("every vtgate routes by it within a second");
  return {};
}

Status ExecuteDba(Asked& asked) {
  ASSIGN_OR_RETURN(const TabletStatus* tablet, FindTablet(asked, "tablet"));
  ASSIGN_OR_RETURN(const std::string sql, asked.Needed("sql"));
  const std::string rows = asked.Text("max_rows").empty() ? "1000" : asked.Text("max_rows");
  asked.plan.target = Name(*tablet);
  asked.plan.limit = 60s;
  asked.plan.words = {"ExecuteFetchAsDBA", "--max-rows", rows, asked.plan.target, sql};
  if (!tablet->connected) asked.Refuse(asked.plan.target + " does not answer");
  const std::string first = Lower(sql.substr(0, sql.find_first_of(" \t\n(;")));
  const bool reads = first == "select" || first == "show" || first == "explain" ||
                     first == "desc" || first == "describe";
  asked.Step(fmt::format("{} runs the statement with all privileges; at most {} rows come back",
                         asked.plan.target, rows));
  if (!reads) {
    const bool primary = tablet->target.type == TabletType::kPrimary;
    asked.Warn(primary ? "this writes at the primary, past vtgate and its checks"
                       : "what is written on a replica makes it differ from its primary");
    asked.plan.confirm = asked.plan.target;
  }
  return {};
}

Status Ping(Asked& asked) {
  ASSIGN_OR_RETURN(const TabletStatus* tablet, FindTablet(asked, "tablet"));
  asked.plan.target = Name(*tablet);
  asked.plan.words = {"PingTablet", asked.plan.target};
  asked.Step(asked.plan.target + " is asked for an answer; nothing changes");
  return {};
}

Status DeleteTablet(Asked& asked) {
  ASSIGN_OR_RETURN(const TabletStatus* tablet, FindTablet(asked, "tablet"));
  asked.plan.target = asked.plan.confirm = Name(*tablet);
  asked.plan.words = {"DeleteTablets", asked.plan.target};
  if (tablet->connected) asked.Refuse(asked.plan.target + " runs: stop its vttablet first");
  const auto shard = asked.world.shards.find({tablet->tablet.keyspace, tablet->tablet.shard});
  if (shard != asked.world.shards.end() && shard->second.primary_alias == tablet->tablet.alias) {
    asked.Refuse(asked.plan.target + " is its shard's primary: give the shard another one first");
  }
  asked.Step("the record of " + asked.plan.target + " leaves the topology; its data stays");
  return {};
}

Status RemoveBackup(Asked& asked) {
  ASSIGN_OR_RETURN(const ShardNow shard, FindShard(asked));
  ASSIGN_OR_RETURN(const std::string name, asked.Needed("backup"));
  asked.plan.target = shard.name.ToString();
  asked.plan.confirm = name;
  asked.plan.words = {"RemoveBackup", asked.plan.target, name};
  asked.Step("the backup " + name + " is deleted from the storage; it cannot be brought back");
  return {};
}

Status Validate(Asked& asked) {
  asked.plan.target = "cluster";
  asked.plan.words = {"Validate", "--ping-tablets"};
  asked.Step("all records are held against each other and all tablets are pinged");
  return {};
}

struct Action {
  std::string_view name, command;
  Status (*make)(Asked& asked);
};
constexpr Action kActions[] = {
    {"planned_reparent", "PlannedReparentShard", PlannedReparent},
    {"emergency_reparent", "EmergencyReparentShard", EmergencyReparent},
    {"backup", "Backup", Backup},
    {"restore", "RestoreFromBackup", Restore},
    {"remove_backup", "RemoveBackup", RemoveBackup},
    {"change_type", "ChangeTabletType", ChangeType},
    {"start_replication", "StartReplication",
     [](Asked& asked) { return Replication(asked, true); }},
    {"stop_replication", "StopReplication", [](Asked& asked) { return Replication(asked, false); }},
    {"maintenance", "SetMaintenance", Maintain},
    {"apply_schema", "ApplySchema", ApplySchema},
    {"apply_vschema", "ApplyVSchema", ApplyVSchema},
    {"execute_dba", "ExecuteFetchAsDBA", ExecuteDba},
    {"ping", "PingTablet", Ping},
    {"delete_tablet", "DeleteTablets", DeleteTablet},
    {"validate", "Validate", Validate},
};

Result<const Action*> FindAction(std::string_view name) {
  const auto found = std::ranges::find(kActions, name, &Action::name);
  if (found != std::end(kActions)) return found;
  std::vector<std::string> names;
  for (const Action& action : kActions) names.emplace_back(action.name);
  return Fail(Code::kNotFound, "there is no action \"{}\", but {}", name, Join(names, ", "));
}

}  // namespace

std::map<std::string, access::Role> ActionRoles() {
  std::map<std::string, access::Role> roles;
  for (const Action& action : kActions) roles.emplace(action.name, RoleOf(action.name));
  return roles;
}

access::Role RoleOf(std::string_view action) {
  const auto found = std::ranges::find(kActions, action, &Action::name);
  CHECK(found != std::end(kActions));
  return std::max(access::Role::kOperator, access::RoleOfCommand(found->command));
}

Result<Plan> MakePlan(const World& world, std::string_view action, const Json& arguments) {
  ASSIGN_OR_RETURN(const Action* found, FindAction(action));
  if (!arguments.is_object()) {
    return Fail(Code::kInvalidArgument, "the arguments of {} are not an object", action);
  }
  Asked asked{world, arguments, {}};
  RETURN_IF_ERROR(found->make(asked));
  return std::move(asked.plan);
}

std::string CommandText(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    const bool plain = !word.empty() && word.find_first_not_of(
                                            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                            "0123456789-_./:,=@%+") == std::string::npos;
    if (!text.empty()) text += ' ';
    text += plain ? word : "'" + ReplaceAll(word, "'", "'\\''") + "'";
  }
  return text;
}

}  // namespace paceline::console
