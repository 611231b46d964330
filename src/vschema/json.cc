#include "vschema/json.h"

#include <nlohmann/json.hpp>
#include <set>

namespace paceline::vschema {
namespace {

using Json = nlohmann::ordered_json;

Result<Json> ParseObject(std::string_view text, std::string_view what) {
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) {
    return Fail(Code::kInvalidArgument, "the {} are no valid JSON: check quotes and commas", what);
  }
  if (!json.is_object()) {
    return Fail(Code::kInvalidArgument, "the {} must be a JSON object", what);
  }
  return json;
}

// The field by either spelling, or null.
const Json* Field(const Json& object, const char* snake, const char* camel) {
  if (const auto at = object.find(snake); at != object.end()) return &*at;
  if (const auto at = object.find(camel); at != object.end()) return &*at;
  return nullptr;
}

bool IsUnset(const Json& value) {
  return value.is_null() || value.empty() || value == Json(false) || value == Json("") ||
         value == Json("unspecified") || value == Json(0);
}

Json TableJson(const record::VSchemaTable& table) {
  return Json{{"type", table.type},
              {"column_vindexes", Json::array()},
              {"auto_increment", nullptr},
              {"columns", Json::array()},
              {"pinned", ""},
              {"column_list_authoritative", false},
              {"source", ""}};
}

Json KeyspaceJson(const record::KeyspaceVSchema& vschema) {
  Json tables = Json::object();
  for (const auto& [name, table] : vschema.tables) tables[name] = TableJson(table);
  return Json{{"sharded", vschema.sharded},        {"vindexes", Json::object()},
              {"tables", std::move(tables)},       {"require_explicit_routing", false},
              {"foreign_key_mode", "unspecified"}, {"multi_tenant_spec", nullptr}};
}

Json RulesJson(const record::RoutingRules& rules) {
  Json list = Json::array();
  for (const record::RoutingRule& rule : rules.rules) {
    list.push_back(Json{{"from_table", rule.from_table}, {"to_tables", rule.to_tables}});
  }
  return Json{{"rules", std::move(list)}};
}

std::string Print(const Json& json) {
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace

Result<record::RoutingRules> ParseRoutingRules(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text, "routing rules"));
  record::RoutingRules out;
  for (const auto& [key, value] : json.items()) {
    if (key != "rules") {
      return Fail(Code::kInvalidArgument, "the routing rules have an unknown field \"{}\"", key);
    }
    if (!value.is_array() && !value.is_null()) {
      return Fail(Code::kInvalidArgument, "\"rules\" must be a list");
    }
  }
  const Json* rules = Field(json, "rules", "rules");
  if (rules == nullptr) return out;
  std::set<std::string> seen;
  for (const Json& item : *rules) {
    const size_t number = out.rules.size() + 1;
    if (!item.is_object()) {
      return Fail(Code::kInvalidArgument, "routing rule {} must be an object", number);
    }
    record::RoutingRule rule;
    const Json* from = Field(item, "from_table", "fromTable");
    if (from == nullptr || !from->is_string() || from->get<std::string>().empty()) {
      return Fail(Code::kInvalidArgument, "routing rule {} needs a \"from_table\"", number);
    }
    rule.from_table = from->get<std::string>();
    if (!seen.insert(rule.from_table).second) {
      return Fail(Code::kInvalidArgument, "two routing rules are for table {}: keep one",
                  rule.from_table);
    }
    if (const Json* to = Field(item, "to_tables", "toTables"); to != nullptr && !to->is_null()) {
      if (!to->is_array()) {
        return Fail(Code::kInvalidArgument, "\"to_tables\" of table {} must be a list",
                    rule.from_table);
      }
      for (const Json& table : *to) {
        if (!table.is_string()) {
          return Fail(Code::kInvalidArgument, "\"to_tables\" of table {} must hold names",
                      rule.from_table);
        }
        rule.to_tables.push_back(table.get<std::string>());
      }
    }
    out.rules.push_back(std::move(rule));
  }
  return out;
}

std::string PrintRoutingRules(const record::RoutingRules& rules) { return Print(RulesJson(rules)); }

Result<record::KeyspaceVSchema> ParseKeyspaceVSchema(std::string_view text) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(text, "VSchema"));
  record::KeyspaceVSchema out;
  for (const auto& [key, value] : json.items()) {
    if (key == "sharded") {
      if (!value.is_boolean()) {
        return Fail(Code::kInvalidArgument, "\"sharded\" must be true or false");
      }
      out.sharded = value.get<bool>();
    } else if (key != "tables" && !IsUnset(value)) {
      return Fail(Code::kUnimplemented,
                  "\"{}\" in a VSchema is for sharded keyspaces, which are not supported yet", key);
    }
  }
  if (out.sharded) {
    return Fail(Code::kUnimplemented,
                "sharded keyspaces are not supported yet: set \"sharded\" to false");
  }
  const Json* tables = Field(json, "tables", "tables");
  if (tables == nullptr || tables->is_null()) return out;
  if (!tables->is_object()) return Fail(Code::kInvalidArgument, "\"tables\" must be an object");
  for (const auto& [name, table] : tables->items()) {
    if (!table.is_object()) {
      return Fail(Code::kInvalidArgument, "table {} in the VSchema must be an object", name);
    }
    record::VSchemaTable& added = out.tables[name];
    for (const auto& [key, value] : table.items()) {
      if (key == "type" && value.is_string()) {
        added.type = value.get<std::string>();
      } else if (!IsUnset(value)) {
        return Fail(Code::kUnimplemented,
                    "\"{}\" of table {} is for sharded keyspaces, which are not supported yet", key,
                    name);
      }
    }
    if (!added.type.empty() && added.type != "sequence" && added.type != "reference") {
      return Fail(Code::kInvalidArgument,
                  "table {} has the unknown type \"{}\": use sequence, reference or none", name,
                  added.type);
    }
  }
  return out;
}

std::string PrintKeyspaceVSchema(const record::KeyspaceVSchema& vschema) {
  return Print(KeyspaceJson(vschema));
}

std::string PrintSrvVSchema(const record::SrvVSchema& vschema) {
  Json keyspaces = Json::object();
  for (const auto& [name, keyspace] : vschema.keyspaces) keyspaces[name] = KeyspaceJson(keyspace);
  return Print(Json{{"keyspaces", std::move(keyspaces)},
                    {"routing_rules", RulesJson(vschema.routing_rules)}});
}

}  // namespace paceline::vschema
