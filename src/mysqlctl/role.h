// mysqlctl/role.h - the durable note whether this mysqld is a primary: what its agent may do when
// it dies.
#pragma once

#include "mysqld/config.h"

namespace paceline::mysqlctl {

enum class Role : uint8_t { kReplica, kPrimary };

// kReplica where nothing was ever noted; kPrimary where the note cannot be understood, the careful
// answer.
Role ReadRole(const mysqld::Layout& layout);
// With fsync before it returns.
Status WriteRole(const mysqld::Layout& layout, Role role, const std::string& owner);

}  // namespace paceline::mysqlctl
