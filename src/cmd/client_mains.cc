#include "cli/client.h"
#include "cmd/mains.h"

namespace paceline::cmd {

int VtctldclientMain(const std::vector<std::string>& arguments) {
  return cli::VtctldclientMain(arguments);
}
int VtctlclientMain(const std::vector<std::string>& arguments) {
  return cli::VtctlclientMain(arguments);
}

}  // namespace paceline::cmd
