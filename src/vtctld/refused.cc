// Commands whose feature belongs to a later version: each says so.
#include "mysqlctl.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {

VTCTLD_METHOD(GetBackups) {
  co_return Fail(Code::kUnimplemented,
                 "backups belong to a later version of Paceline: there are none to list for {}/{}",
                 request.keyspace(), request.shard());
}

VTCTLD_METHOD(RemoveBackup) {
  co_return Fail(Code::kUnimplemented,
                 "backups belong to a later version of Paceline: there is no backup {} to remove",
                 request.name());
}

}  // namespace paceline::vtctld
