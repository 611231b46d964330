// backup/dump_programs.h - what a server has beside tables, as records of a dump: databases,
// routines, views, triggers, events, accounts. Each is read as it was written, in its own charset.
// Sessions are under SET NAMES binary. Threads: the connection's loop. Errors: of the connection.
#pragma once

#include <string>
#include <vector>

#include "backup/dump_format.h"
#include "io/task.h"
#include "mysql/client/connection.h"

namespace paceline::backup {

// A condition for a column of information_schema; no schemas: all but the server's own.
std::string InSchemas(const std::string& column, const std::vector<std::string>& schemas);

io::Task<Result<std::vector<DumpRecord>>> ReadDatabases(mysql::Connection& session,
                                                        std::vector<std::string> schemas,
                                                        Deadline deadline);
// Routines, views, triggers and events, in the order in which they can be made; a view may need a
// later one.
io::Task<Result<std::vector<DumpRecord>>> ReadPrograms(mysql::Connection& session,
                                                       std::vector<std::string> schemas,
                                                       Deadline deadline);
// Accounts and roles, then what each may do.
io::Task<Result<std::vector<DumpRecord>>> ReadAccounts(mysql::Connection& session,
                                                       Deadline deadline);

}  // namespace paceline::backup
