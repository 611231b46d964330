#include "rpc/session_message.h"

#include "base/strings.h"
#include "rpc/bind_variables.h"
#include "rpc/query_messages.h"
#include "sql/lexer.h"

namespace paceline::rpc {
namespace {

// SET NAMES as the variables it stands for: other gates know those.
void ShowNames(std::string_view names, google::protobuf::Map<std::string, std::string>* out) {
  constexpr std::string_view kNames = "NAMES ", kCollate = " COLLATE ";
  if (!names.starts_with(kNames) || names == "NAMES DEFAULT") return;
  names.remove_prefix(kNames.size());
  size_t collate = names.find(kCollate);
  std::string charset(names.substr(0, collate));
  for (const char* name :
       {"character_set_client", "character_set_connection", "character_set_results"}) {
    (*out)[name] = charset;
  }
  if (collate != names.npos) {
    (*out)["collation_connection"] = names.substr(collate + kCollate.size());
  }
}

bool IsName(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  for (char c : name) {
    bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!word && c != '_' && c != '$' && c != '.') return false;
  }
  return true;
}

// A constant's SQL text, typed as far as its form tells.
query::BindVariable ToBindVariable(std::string_view text) {
  query::BindVariable out;
  text = Trim(text);
  if (text.starts_with('\'') || text.starts_with('"')) {
    out.set_type(query::VARCHAR);
    out.set_value(sql::Unquote(text, sql::Dialect()));
    return out;
  }
  if (EqualsIgnoreCase(text, "null")) {
    out.set_type(query::NULL_TYPE);
    return out;
  }
  bool digits = !text.empty(), plain = true;
  for (size_t i = 0; i < text.size(); ++i) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    bool sign = i == 0 && text[i] == '-' && text.size() > 1;
    if (!digit && !sign && text[i] != '.') digits = false;
    if (text[i] == '.') plain = false;
  }
  out.set_type(!digits ? query::EXPRESSION : plain ? query::INT64 : query::DECIMAL);
  out.set_value(std::string(text));
  return out;
}

}  // namespace

void ShowState(const vtgate::Session& live, ::vtgate::Session* message) {
  message->set_in_transaction(live.in_transaction());
  message->set_autocommit(live.autocommit());
  const plan::SessionValues& values = live.values();
  message->set_last_insert_id(values.last_insert_id);
  message->set_found_rows(values.found_rows);
  message->set_row_count(values.row_count);
  message->clear_warnings();
  for (const port::Warning& warning : live.warnings()) {
    query::QueryWarning* out = message->add_warnings();
    out->set_code(warning.code);
    out->set_message(warning.message);
  }
  message->clear_system_variables();
  ShowNames(live.settings().names(), message->mutable_system_variables());
  for (const auto& [name, value] : live.settings().variables()) {
    (*message->mutable_system_variables())[name] = value;
  }
  message->clear_user_defined_variables();
  for (const auto& [name, value] : live.settings().user_variables()) {
    (*message->mutable_user_defined_variables())[name] = ToBindVariable(value);
  }
  vtgate::Session::Pin pin = live.pin();
  message->clear_shard_sessions();
  message->set_in_reserved_conn(pin.reserved);
  if (pin.id == 0) return;
  ::vtgate::Session::ShardSession* shard = message->add_shard_sessions();
  ToProto(pin.target, shard->mutable_target());
  ToProto(pin.tablet, shard->mutable_tablet_alias());
  if (live.in_transaction()) shard->set_transaction_id(static_cast<int64_t>(pin.id));
  if (pin.reserved) shard->set_reserved_id(static_cast<int64_t>(pin.id));
}

void ShowGone(::vtgate::Session* message) {
  message->set_in_transaction(false);
  message->set_in_reserved_conn(false);
  message->clear_shard_sessions();
  message->clear_pre_sessions();
  message->clear_post_sessions();
  message->clear_lock_session();
  message->clear_savepoints();
  message->clear_sessionuuid();
}

bool OwnsConnection(const ::vtgate::Session& message) {
  return message.shard_sessions_size() > 0 || message.pre_sessions_size() > 0 ||
         message.post_sessions_size() > 0 || message.in_reserved_conn() ||
         message.has_lock_session();
}

std::string SetText(const ::vtgate::Session& message) {
  std::string text;
  for (const auto& [name, value] : message.system_variables()) {
    if (!IsName(name) || value.empty()) continue;
    text += fmt::format("{}@@session.{} = {}", text.empty() ? "SET " : ", ", name, value);
  }
  for (const auto& [name, variable] : message.user_defined_variables()) {
    Result<std::string> value = BindVariableToSql(name, variable);
    if (!value) continue;
    text += fmt::format("{}@{} = {}", text.empty() ? "SET " : ", ", QuoteIdentifier(name), *value);
  }
  return text;
}

std::string TransactionName(const ::vtgate::Session& message) {
  for (const auto& shard : message.shard_sessions()) {
    if (shard.transaction_id() != 0) return std::to_string(shard.transaction_id());
    if (shard.reserved_id() != 0) return std::to_string(shard.reserved_id());
  }
  return message.sessionuuid().empty() ? "0" : message.sessionuuid();
}

}  // namespace paceline::rpc
