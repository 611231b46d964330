#include "vtgate/state_tracking.h"

#include "base/strings.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/session_state.h"
#include "sql/lexer.h"

namespace paceline::vtgate {
namespace {

constexpr std::string_view kDefaultVariables =
    "autocommit,character_set_client,character_set_connection,character_set_results,time_zone";

std::string Value(const SessionSettings& settings, std::string_view name) {
  const std::string* text = settings.Find(name);
  return text == nullptr ? "DEFAULT" : Upper(sql::Unquote(*text, sql::Dialect()));
}

bool IsOn(std::string_view value, bool standard) {
  if (value == "DEFAULT") return standard;
  return value == "1" || value == "ON" || value == "TRUE";
}

}  // namespace

StateTracking TrackingOf(const SessionSettings& settings) {
  StateTracking tracking;
  tracking.schema = IsOn(Value(settings, "session_track_schema"), true);
  tracking.state_change = IsOn(Value(settings, "session_track_state_change"), false);
  std::string gtids = Value(settings, "session_track_gtids");
  tracking.gtids = gtids != "DEFAULT" && gtids != "OFF" && gtids != "0";
  std::string transactions = Value(settings, "session_track_transaction_info");
  tracking.characteristics = transactions == "CHARACTERISTICS" || transactions == "2";
  tracking.transaction_state =
      tracking.characteristics || transactions == "STATE" || transactions == "1";
  std::string variables = Value(settings, "session_track_system_variables");
  if (variables == "DEFAULT") variables = Upper(kDefaultVariables);
  for (std::string_view name : Split(variables, ',')) {
    name = Trim(name);
    if (name == "*") tracking.all_variables = true;
    if (!name.empty()) tracking.variables.insert(Lower(name));
  }
  return tracking;
}

std::string ToldState(std::string_view bytes, const StateTracking& tracking) {
  using mysql::wire::SessionStateType;
  std::string told;
  mysql::wire::Reader reader(bytes);
  while (reader.ok() && !reader.empty()) {
    std::string_view before = reader.rest();
    auto type = static_cast<SessionStateType>(reader.U8());
    mysql::wire::Reader entry(reader.LenencBytes());
    if (!reader.ok()) break;
    bool tell = false;
    switch (type) {
      case SessionStateType::kSystemVariable:
        tell = tracking.Tells(entry.LenencBytes());
        break;
      case SessionStateType::kSchema:
        tell = tracking.schema;
        break;
      case SessionStateType::kStateChange:
        tell = tracking.state_change;
        break;
      case SessionStateType::kGtids:
        tell = tracking.gtids;
        break;
      case SessionStateType::kTransactionCharacteristics:
        tell = tracking.characteristics;
        break;
      case SessionStateType::kTransactionState:
        tell = tracking.transaction_state;
        break;
    }
    if (tell) told.append(before.substr(0, before.size() - reader.remaining()));
  }
  return told;
}

}  // namespace paceline::vtgate
