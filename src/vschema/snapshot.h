// vschema/snapshot.h - one immutable state of all keyspaces' VSchemas, for planning. Built once per
// change of SrvVSchema and shared between threads by shared_ptr<const Snapshot>. Table names
// compare exactly, as on servers with lower_case_table_names=0.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "record/record.h"

namespace paceline::vschema {

struct KeyspaceEntry {
  std::string name;
  std::string database;  // what its tablets call it: vt_<name>, or their override
  record::KeyspaceVSchema vschema;
};

// Where a table's statements go after routing rules.
struct TableRoute {
  const KeyspaceEntry* keyspace = nullptr;  // of the snapshot
  std::string_view table;  // the snapshot's text, or the caller's when no rule changed it
};

class Snapshot {
 public:
  // `keyspaces`: those of the topology, also ones that no VSchema names yet. `databases`: names
  // that differ from vt_<keyspace> (Tablet::db_name_override).
  static std::shared_ptr<const Snapshot> Build(
      const record::SrvVSchema& vschema, const std::set<std::string>& keyspaces = {},
      const std::map<std::string, std::string>& databases = {});

  const KeyspaceEntry* Find(std::string_view keyspace) const;
  // By the name that mysqld knows it by ("vt_commerce").
  const KeyspaceEntry* FindByDatabase(std::string_view database) const;
  std::vector<std::string> KeyspaceNames() const;
  // The only keyspace, or null: what a session without a database means then.
  const KeyspaceEntry* Only() const;

  // `keyspace` may be empty: then a global table name (a routing rule, the one keyspace that lists
  // the table, the only keyspace there is). Errors: 1049 42000 keyspace unknown; 1046 3D000 no
  // database selected and the table's keyspace not evident; kFailedPrecondition where a routing
  // rule sends the table to several places or nowhere.
  Result<TableRoute> Resolve(std::string_view keyspace, std::string_view table,
                             record::TabletType type) const;
  bool has_routing_rules() const { return !rules_.empty(); }

 private:
  std::map<std::string, KeyspaceEntry, std::less<>> keyspaces_;
  std::map<std::string, std::string, std::less<>> by_database_;
  std::map<std::string, std::vector<std::string>, std::less<>> rules_;
  // Tables listed in exactly one keyspace's VSchema -> that keyspace; in several -> "".
  std::map<std::string, std::string, std::less<>> global_tables_;
};

// information_schema, performance_schema, mysql, sys: on every tablet, any case.
bool IsSystemSchema(std::string_view name);

}  // namespace paceline::vschema
