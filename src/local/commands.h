// local/commands.h - the commands of a local cluster: each takes the arguments behind its name,
// prints for a person and returns the exit code.
#pragma once

#include <string>
#include <vector>

#include "mysqlctl/options.h"

namespace paceline::local {

int UpMain(const std::vector<std::string>& arguments, const mysqlctl::Environment& environment);
int StatusMain(const std::vector<std::string>& arguments);
int DownMain(const std::vector<std::string>& arguments);
int RestoreMain(const std::vector<std::string>& arguments);
int DemoMain(const std::vector<std::string>& arguments);

}  // namespace paceline::local
