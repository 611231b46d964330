// vschema/json.h - VSchema records as the JSON that vtctldclient reads and prints: names in
// snake_case, unset fields shown. For what unsharded keyspaces have; whoever needs the whole
// message converts record's `proto` bytes instead.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "record/record.h"

namespace paceline::vschema {

// {"rules": [{"from_table": "t", "to_tables": ["ks.t"]}]}; camelCase names are read too.
// Errors: kInvalidArgument naming the place: not JSON, unknown or mistyped fields, a rule without
// from_table or twice.
Result<record::RoutingRules> ParseRoutingRules(std::string_view json);
std::string PrintRoutingRules(const record::RoutingRules& rules);

// {"sharded": false, "tables": {"t": {"type": "sequence"}}}. The result's `proto` is empty.
// Errors: as above; kUnimplemented for sharded keyspaces and for fields that only they use
// (vindexes and others).
Result<record::KeyspaceVSchema> ParseKeyspaceVSchema(std::string_view json);
std::string PrintKeyspaceVSchema(const record::KeyspaceVSchema& vschema);
// {"keyspaces": {...}, "routing_rules": {...}}
std::string PrintSrvVSchema(const record::SrvVSchema& vschema);

}  // namespace paceline::vschema
