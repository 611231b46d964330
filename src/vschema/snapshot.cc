#include "vschema/snapshot.h"

#include "base/strings.h"

namespace paceline::vschema {
namespace {

constexpr ErrorSpec kUnknownDatabase{"", Code::kNotFound, 1049, "42000",
                                     "The keyspace does not exist, or no VSchema names it."};
constexpr ErrorSpec kNoDatabase{
    "", Code::kFailedPrecondition, 1046, "3D000",
    "A statement names a table without a keyspace, and none is selected."};

// Vitess spells the type of a rule's table behind an '@', primary included.
std::string TypeSuffix(record::TabletType type) {
  return "@" + std::string(record::TabletTypeName(type));
}

}  // namespace

bool IsSystemSchema(std::string_view name) {
  return EqualsIgnoreCase(name, "information_schema") ||
         EqualsIgnoreCase(name, "performance_schema") || EqualsIgnoreCase(name, "mysql") ||
         EqualsIgnoreCase(name, "sys");
}

std::shared_ptr<const Snapshot> Snapshot::Build(
    const record::SrvVSchema& vschema, const std::set<std::string>& keyspaces,
    const std::map<std::string, std::string>& databases) {
  auto snapshot = std::make_shared<Snapshot>();
  const auto add = [&](const std::string& name) -> KeyspaceEntry& {
    KeyspaceEntry& entry = snapshot->keyspaces_[name];
    if (entry.name.empty()) {
      entry.name = name;
      const auto known = databases.find(name);
      entry.database = known == databases.end() ? "vt_" + name : known->second;
      snapshot->by_database_[entry.database] = name;
    }
    return entry;
  };
  for (const std::string& name : keyspaces) add(name);
  for (const auto& [name, keyspace] : vschema.keyspaces) {
    add(name).vschema = keyspace;
    for (const auto& [table, unused] : keyspace.tables) {
      const auto [at, added] = snapshot->global_tables_.try_emplace(table, name);
      if (!added) at->second.clear();
    }
  }
  for (const record::RoutingRule& rule : vschema.routing_rules.rules) {
    snapshot->rules_[rule.from_table] = rule.to_tables;
  }
  return snapshot;
}

const KeyspaceEntry* Snapshot::Find(std::string_view keyspace) const {
  const auto at = keyspaces_.find(keyspace);
  return at == keyspaces_.end() ? nullptr : &at->second;
}

const KeyspaceEntry* Snapshot::FindByDatabase(std::string_view database) const {
  const auto at = by_database_.find(database);
  return at == by_database_.end() ? nullptr : Find(at->second);
}

std::vector<std::string> Snapshot::KeyspaceNames() const {
  std::vector<std::string> names;
  names.reserve(keyspaces_.size());
  for (const auto& [name, unused] : keyspaces_) names.push_back(name);
  return names;
}

const KeyspaceEntry* Snapshot::Only() const {
  return keyspaces_.size() == 1 ? &keyspaces_.begin()->second : nullptr;
}

Result<TableRoute> Snapshot::Resolve(std::string_view keyspace, std::string_view table,
                                     record::TabletType type) const {
  if (!rules_.empty()) {
    std::string from(keyspace);
    if (!from.empty()) from.push_back('.');
    from.append(table);
    auto rule = rules_.find(from + TypeSuffix(type));
    if (rule == rules_.end()) rule = rules_.find(from);
    if (rule != rules_.end()) {
      const std::vector<std::string>& to = rule->second;
      if (to.empty()) {
        return Fail(Code::kFailedPrecondition, "table {} is disabled by a routing rule", from);
      }
      if (to.size() > 1) {
        return Fail(
            Code::kFailedPrecondition,
            "the routing rule of table {} names {} targets: give it one (ApplyRoutingRules)", from,
            to.size());
      }
      const std::string_view target = to[0];
      const size_t dot = target.find('.');
      if (dot == std::string_view::npos) {
        return Fail(Code::kFailedPrecondition,
                    "the routing rule of table {} names {}: expected keyspace.table", from, target);
      }
      const KeyspaceEntry* entry = Find(target.substr(0, dot));
      if (entry == nullptr) {
        return Fail(kUnknownDatabase, "Unknown database '{}' in the routing rule of table {}",
                    target.substr(0, dot), from);
      }
      return TableRoute{entry, target.substr(dot + 1)};
    }
  }
  if (!keyspace.empty()) {
    const KeyspaceEntry* entry = Find(keyspace);
    if (entry == nullptr) return Fail(kUnknownDatabase, "Unknown database '{}'", keyspace);
    return TableRoute{entry, table};
  }
  const auto global = global_tables_.find(table);
  if (global != global_tables_.end() && !global->second.empty()) {
    return TableRoute{Find(global->second), table};
  }
  if (const KeyspaceEntry* only = Only()) return TableRoute{only, table};
  return Fail(kNoDatabase, "No database selected");
}

}  // namespace paceline::vschema
