// mysqlctl/command.h - the program mysqlctl: one command on one mysqld, then it ends.
#pragma once

#include <string>
#include <vector>

#include "mysqlctl/options.h"

namespace paceline::mysqlctl {

// `arguments` without the program's name. Commands: init, init_config, start, shutdown, teardown,
// reinit_config, position equal|at_least|append POSITION POSITION|GTID. Returns the exit code;
// errors go to standard error in one line.
int MysqlctlMain(const std::vector<std::string>& arguments, const Environment& environment);

// The command position: "true" or "false", or the set with the GTID added. Pure. Errors:
// kInvalidArgument.
Result<std::string> PositionCommand(const std::string& operation, const std::string& a,
                                    const std::string& b);

}  // namespace paceline::mysqlctl
