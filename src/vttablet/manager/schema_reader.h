// vttablet/manager/schema_reader.h - a database's tables as tabletmanagerdata.SchemaDefinition.
// Threads: the loop's thread.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "io/task.h"
#include "mysqld/admin.h"

namespace tabletmanagerdata {
class SchemaDefinition;
}

namespace paceline::vttablet {

struct SchemaWanted {
  std::string database;
  std::vector<std::string> tables;    // names, or /regular expressions/; empty: all
  std::vector<std::string> excluded;  // the same
  bool views = false;
};

// Errors: kInvalidArgument for a bad pattern, mysqld's own. `out` outlives the call.
io::Task<Status> ReadSchema(mysqld::Admin& admin, SchemaWanted wanted,
                            ::tabletmanagerdata::SchemaDefinition* out, Deadline deadline);

}  // namespace paceline::vttablet
