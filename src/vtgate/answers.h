// vtgate/answers.h - what the gate answers from its own knowledge: SHOW VITESS_*, SHOW KEYSPACES,
// SHOW DATABASES, SHOW WARNINGS of a statement whose connection is gone. Pure but for the gateway's
// listing.
#pragma once

#include <optional>

#include "vtgate/session.h"

namespace paceline::vtgate {

struct OwnAnswerInput {
  const GateContext& gate;
  const SessionIdentity& identity;
  const plan::SessionTarget& target;
  const std::vector<port::Warning>& warnings;
  const plan::Plan& plan;
  std::string_view text;
  uint64_t warning_count = 0, error_count = 0;
  std::vector<SessionRow> sessions = {};  // for SHOW VITESS_SESSIONS
  sql::Dialect dialect = {};
};

// Nothing: a tablet must answer.
std::optional<Result<OwnTable>> OwnAnswer(const OwnAnswerInput& input);

}  // namespace paceline::vtgate
