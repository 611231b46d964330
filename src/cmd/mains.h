// cmd/mains.h - the roles of the one binary. Each takes the arguments behind its name and returns
// the exit code.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace paceline::cmd {

int VtgateMain(const std::vector<std::string>& arguments);
int VttabletMain(const std::vector<std::string>& arguments);
int VtorcMain(const std::vector<std::string>& arguments);
int VtctldMain(const std::vector<std::string>& arguments);
int VtctldclientMain(const std::vector<std::string>& arguments);
int VtctlclientMain(const std::vector<std::string>& arguments);
int EtcdMemberMain(const std::vector<std::string>& arguments);
int AccessTokenMain(const std::vector<std::string>& arguments);
int VtbackupMain(const std::vector<std::string>& arguments);
int MysqlctldMain(const std::vector<std::string>& arguments);

// An environment variable, "" when unset.
std::string EnvironmentText(std::string_view name);
std::string HostName();
// Starts the log and makes this thread's process ready for loops.
void StartProgramLog(std::string program, std::string_view level);
// "Version: 0.1.0 (...)"
std::string VersionLine();

}  // namespace paceline::cmd
