// vtgate/state_tracking.h - which session state changes a client is told of in its OK packets. A
// tablet's mysqld tracks more than that, for the gate's own use. Pure. Threads: values.
#pragma once

#include <set>
#include <string>
#include <string_view>

#include "vtgate/settings.h"

namespace paceline::vtgate {

struct StateTracking {
  bool schema = true;
  bool state_change = false;
  bool gtids = false;
  bool characteristics = false;  // of transactions
  bool transaction_state = false;
  bool all_variables = false;
  std::set<std::string, std::less<>> variables;

  bool Tells(std::string_view variable) const {
    return all_variables || variables.contains(variable);
  }
  friend bool operator==(const StateTracking&, const StateTracking&) = default;
};

// By the session_track_* variables of the session, where it has set any; else as mysqld's defaults.
StateTracking TrackingOf(const SessionSettings& settings);

// The entries of `bytes` (mysql/wire/session_state.h) that the client is told of.
std::string ToldState(std::string_view bytes, const StateTracking& tracking);

}  // namespace paceline::vtgate
