// cmd/common_flags.h - flags that several programs share, in Vitess's names, and those of Vitess
// that have no effect here.
#pragma once

#include <string>
#include <vector>

#include "base/flags.h"
#include "topo/open.h"

namespace paceline::cmd {

struct CommonFlags {
  topo::OpenOptions topo;
  std::string cell;
  std::string bind_address;
  int port = 0;
  int grpc_port = 0;
  std::string grpc_bind_address;
  std::string grpc_cert, grpc_key, grpc_ca;
  std::string log_level = "info";

  void AddTo(FlagSet& flags);
  // host for listening; "" is every address.
  std::string GrpcListenAddress() const;
};

// What main does first: parses, answers --help and --version. Empty: go on. Else the exit code.
std::optional<int> ParseOrExit(FlagSet& flags, const std::vector<std::string>& arguments);
// Says why on standard error, in one line.
int FailWith(const Error& error);

}  // namespace paceline::cmd
