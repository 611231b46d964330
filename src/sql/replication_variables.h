// sql/replication_variables.h - what a tablet's user may do at the server and a client must not:
// set the variables that replication and its evidence stand on (sql_log_bin, gtid_next,
// pseudo_thread_id ...: set for marking writes, docs/decisions/0008-attempts.md; a client would
// hide its writes from the replicas), and change the user's own account (SET PASSWORD, ALTER USER),
// with which every tablet would be locked out. Threads: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "sql/dialect.h"
#include "sql/set.h"

namespace paceline::sql {

// `name`: in lower case, without scope.
bool IsReplicationVariable(std::string_view name);
// SET PASSWORD, by itself or among variables.
bool IsPassword(const Assignment& assignment);

// 1227 in the words of a server whose user may not set this variable.
Error NoRightToSet(bool mariadb, std::string_view variable);

struct ReplicationSets {
  // The first one that is set, "password", or "account" for ALTER USER; empty: none.
  std::string variable;
  // What PREPARE and EXECUTE IMMEDIATE take their text from where it is a literal: that text.
  std::vector<std::string> literals;
  // Where PREPARE and EXECUTE IMMEDIATE take their text from, when that is no literal: "@a". What
  // they do is not known from here. Those in bodies of stored programs are left out.
  std::vector<std::string> computed;
  // Such a one stands behind another statement, which may yet change what it will run.
  bool computed_later = false;
};

// What was found is no variable but a change of the user's account.
bool IsOfAccount(const ReplicationSets& sets);

// Judges each statement of `text`, also within version comments, bodies of stored programs and the
// literals of PREPARE and EXECUTE IMMEDIATE.
ReplicationSets FindReplicationSets(std::string_view text, const Dialect& dialect);
// The same under each way in which a session may read quotes and backslashes, for who does not know
// the session's sql_mode.
ReplicationSets FindReplicationSetsAnyMode(std::string_view text, Dialect dialect);

}  // namespace paceline::sql
