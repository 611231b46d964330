// console/actions.h - what can be done from the console: each action as the vtctld command it comes
// to, and what it would do now, told before it is done. Pure.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "access/users.h"
#include "base/error.h"
#include "base/time.h"
#include "health/view.h"
#include "record/record.h"

namespace paceline::console {

// What plans are made from.
struct World {
  std::vector<health::TabletStatus> tablets;
  std::map<record::KeyspaceShard, record::Shard> shards;
};

struct Plan {
  std::string target;              // "commerce/0", "zone1-0000000101"
  std::vector<std::string> words;  // of the command, its name first
  std::vector<std::string> steps;
  std::vector<std::string> warnings;
  std::string refused;  // why it would fail now; empty: nothing is known against it
  std::string confirm;  // what a person must type first; empty: a click will do
  Duration limit = 60s;
};

// Each action and the role that it needs: its command's (access/commands.h), an operator at least.
std::map<std::string, access::Role> ActionRoles();
// REQUIRES: MakePlan knows the action.
access::Role RoleOf(std::string_view action);

// `arguments`: an object of texts and booleans (README.md). Errors: kInvalidArgument naming the
// argument, kNotFound for an action, tablet, shard or keyspace that is not there.
Result<Plan> MakePlan(const World& world, std::string_view action, const nlohmann::json& arguments);

// The words as one would type them.
std::string CommandText(const std::vector<std::string>& words);

}  // namespace paceline::console
