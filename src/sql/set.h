// sql/set.h - SET statements taken apart. Threads: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "sql/outline.h"

namespace paceline::sql {

enum class Scope : uint8_t {
  kUserVariable,  // @a
  kSession,       // x, SESSION x, LOCAL x, @@x, @@session.x
  kGlobal,
  kPersist,
  kPersistOnly,
  kNextTransaction,  // SET TRANSACTION without a scope
  kNames,            // SET NAMES: name "names", `collation` beside
  kCharset,          // SET CHARACTER SET
  kPassword,  // SET PASSWORD, SET ROLE, SET DEFAULT ROLE: name "password", "role", "default role"
  kRoutineVariable,  // NEW.x, or a name with a qualifier that is no scope
};

enum class ValueKind : uint8_t { kExpression, kDefault, kNull, kString, kNumber, kWord };

struct Assignment {
  Scope scope = Scope::kSession;
  std::string name;  // lower case (user variables: as written), no '@', no scope
  std::string text;  // the right side as written
  ValueKind kind = ValueKind::kExpression;
  // The value when it is constant: text without quotes, number as written, ON/OFF and other words
  // as written.
  std::string constant;
  std::string collation;  // of SET NAMES x COLLATE y
  Span at;                // the whole assignment in the text
  Span value_at;          // its right side
  // The right side is a value that can be sent again on another connection: constant or DEFAULT.
  bool IsConstant() const { return kind != ValueKind::kExpression; }
};

struct SetStatement {
  std::vector<Assignment> assignments;
  // SET TRANSACTION: names "transaction_isolation" ("READ-COMMITTED") and "transaction_read_only"
  // ("ON").
  bool is_transaction = false;
  // The text follows no form that we know; mysqld decides.
  bool understood = true;
  // MariaDB's SET STATEMENT ... FOR: where the statement inside begins.
  uint32_t statement_at = 0;
};

// REQUIRES: Analyze(text) gave kSet or kSetFor.
SetStatement ParseSet(std::string_view text, const Dialect& dialect);

}  // namespace paceline::sql
