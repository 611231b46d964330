// rpc/administration.h - what a call to vtctld asks for, as `access` sees it. Pure.
#pragma once

#include <string>

#include "access/guard.h"

namespace google::protobuf {
class MessageLite;
}

namespace paceline::rpc {

// Action and role by the method's name (the command's for ExecuteVtctlCommand); the target from
// fields that name a keyspace, shard, tablet, cell or backup. Statements and the like are left out:
// they may hold secrets.
access::Request DescribeAdministration(const std::string& path,
                                       const google::protobuf::MessageLite& request);

}  // namespace paceline::rpc
