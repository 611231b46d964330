// vtgate/rebuild.h - the OK packet of a write that was committed while its answer was lost, from
// what the binary log proves of it; only where affected rows and insert id come out exactly. Pure.
#pragma once

#include <optional>
#include <string_view>

#include "mysql/wire/terminator.h"
#include "plan/plan.h"
#include "port/query_service.h"

namespace paceline::vtgate {

// `text`: the statement as the client sent it; `parameters` as in QueryRequest. Empty: it cannot be
// known.
// Not known either, and given as none: warnings and the info text ("Rows matched: ..."), so that
// statements which are expected to warn (IGNORE) are left out.
std::optional<mysql::wire::Terminator> RebuildOk(const plan::Plan& plan, std::string_view text,
                                                 std::string_view parameters,
                                                 const sql::Dialect& dialect, bool found_rows,
                                                 const port::AttemptOutcome& outcome);

}  // namespace paceline::vtgate
