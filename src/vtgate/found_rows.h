// vtgate/found_rows.h - what FOUND_ROWS() answers after a statement. mysqld's documentation says
// little of it; the rules here were asked of MySQL 9.7 and MariaDB 10.11
// (tests/logic/session.test). Pure. Threads: any.
#pragma once

#include <cstdint>
#include <optional>

#include "mysql/wire/terminator.h"
#include "plan/plan.h"
#include "sql/dialect.h"

namespace paceline::vtgate {

// Nullopt: the statement leaves it as it was. Not for SQL_CALC_FOUND_ROWS, whose number only the
// server knows. `end`: the last terminator of the answer, no error.
std::optional<uint64_t> FoundRowsAfter(const plan::Plan& plan, const mysql::wire::Terminator& end,
                                       sql::Flavor flavor);

}  // namespace paceline::vtgate
