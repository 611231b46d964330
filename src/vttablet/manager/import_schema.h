// vttablet/manager/import_schema.h - all that a source's databases hold beside rows: read whole
// before and after the copy, and made on the tablet. Threads: the loop's thread.
#pragma once

#include <string>
#include <vector>

#include "io/task.h"
#include "mysql/client/connection.h"
#include "vttablet/manager/import_text.h"

namespace paceline::vttablet {

struct ImportObject {
  enum class Kind : uint8_t { kDatabase, kTable, kSequence, kRoutine, kView, kTrigger, kEvent };
  Kind kind = Kind::kTable;
  std::string database, name;
  std::string create;
  std::string sql_mode, time_zone, collation;  // under which it was made; empty: any
  std::string status;                          // of an event
  uint64_t bytes = 0;                          // of a table, estimated
  ImportTable table;                           // of a table
};

struct ImportSchema {
  std::vector<ImportObject> objects;
  // "shop.orders" of an object that is not the same in both; empty: none.
  std::string DiffersFrom(const ImportSchema& other) const;
};

// Session variables under which both sides are read and written.
std::vector<std::string> ImportSessionStatements();
// SQL: the databases that are a server's own.
inline constexpr std::string_view kSystemSchemas =
    "('mysql', 'information_schema', 'performance_schema', 'sys')";

// Errors: mysqld's own, naming the object.
io::Task<Result<ImportSchema>> ReadImportSchema(mysql::Connection& source, Deadline deadline);
// Makes the objects of one kind. Views that need each other are tried until all are there.
io::Task<Status> MakeObjects(mysql::Connection& target, const ImportSchema& schema,
                             ImportObject::Kind kind, Deadline deadline);

}  // namespace paceline::vttablet
