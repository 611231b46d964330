#include "mysqlctl/role.h"

#include "base/strings.h"
#include "mysqld/folder.h"

namespace paceline::mysqlctl {
namespace {

std::string RoleFile(const mysqld::Layout& layout) { return layout.dir + "/mysqld.role"; }

}  // namespace

Role ReadRole(const mysqld::Layout& layout) {
  std::string text = mysqld::ReadFileFrom(RoleFile(layout), 0, 64);
  return text.empty() || Trim(text) == "replica" ? Role::kReplica : Role::kPrimary;
}

Status WriteRole(const mysqld::Layout& layout, Role role, const std::string& owner) {
  return mysqld::WriteFileDurably(RoleFile(layout),
                                  role == Role::kPrimary ? "primary\n" : "replica\n", owner);
}

}  // namespace paceline::mysqlctl
