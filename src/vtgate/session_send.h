// vtgate/session_send.h - one statement on its way to a tablet, over all its tries. Private to the
// sources of Session. Lifetime: a local of Session::Send.
#pragma once

#include "vtgate/session.h"

namespace paceline::vtgate {

struct Session::Run {
  Run(const Statement& of, const plan::Plan& by)
      : statement(of), plan(by), place(of.text.size() + of.parameters.size()) {}

  const Statement& statement;
  const plan::Plan& plan;
  std::string begin;
  port::QueryRequest request;
  port::Cancel cancel;
  BufferPlace place;
  // Of the last try:
  Chosen on;
  Attempt attempt;
  Error error{Code::kOk, ""};
  bool refused = false;
  // What followed:
  port::AttemptOutcome outcome;
  std::string why_not_replayed;
};

}  // namespace paceline::vtgate
