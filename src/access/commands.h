// access/commands.h - which role an administrative command needs, by its name, today's or an older
// one. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "access/users.h"

namespace paceline::access {

// What reads is for viewers; what is not known here is for operators.
Role RoleOfCommand(std::string_view name);

// The command of an ExecuteVtctlCommand's words; empty when it cannot be told, which needs an
// admin.
std::string_view CommandOfWords(const std::vector<std::string_view>& words);

}  // namespace paceline::access
