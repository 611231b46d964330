// local/preflight.h - what can be known to fail before any process of a cluster is started: a
// server or etcd that is missing or of the wrong kind, a folder that mysqld cannot use, a full
// disk.
#pragma once

#include "io/task.h"
#include "local/layout.h"
#include "mysqlctl/options.h"

namespace paceline::local {

// Errors: one line that names the flag or the path. Writes nothing.
io::Task<Status> CheckMachine(ClusterOptions options, mysqlctl::Environment environment);

}  // namespace paceline::local
