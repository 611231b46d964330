#include <iostream>
#include <nlohmann/json.hpp>

#include "access/users.h"
#include "base/rng.h"
#include "base/strings.h"
#include "cmd/common_flags.h"
#include "cmd/mains.h"

namespace paceline::cmd {

// The secret goes to standard output once and is kept nowhere; never an argument, which `ps` shows.
int AccessTokenMain(const std::vector<std::string>& arguments) {
  std::string name, role = "viewer";
  FlagSet flags("access-token", "--name <name> --role <role>",
                "Makes a token for a person or program, and what the users file needs to know.");
  flags.Text("name", &name, "whose token it is");
  flags.Text("role", &role, "viewer, operator or admin");
  if (std::optional<int> code = ParseOrExit(flags, arguments)) return *code;
  if (name.empty()) return FailWith(Error(Code::kInvalidArgument, "--name is needed"));
  Result<access::Role> checked = access::ParseRole(role);
  if (!checked) return FailWith(checked.error().Context("--role"));
  const std::string token = "pl_" + HexEncode(RandomBytes(32));
  const nlohmann::json user = {
      {"name", name}, {"role", role}, {"token_sha256", {access::TokenHash(token)}}};
  const nlohmann::json credentials = {{"Username", name}, {"Password", token}};
  std::cout << "For " << name << ", shown this once: " << token << "\n"
            << "For the file of --grpc-auth-static-client-creds: " << credentials.dump() << "\n"
            << "For the list \"users\" of --access-users-file: " << user.dump() << "\n";
  return 0;
}

}  // namespace paceline::cmd
