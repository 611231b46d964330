#include "mysql/wire/session_state.h"

#include "mysql/wire/codec.h"

namespace paceline::mysql::wire {
namespace {

bool ParseEntry(SessionStateType type, std::string_view data, std::vector<SessionStateEntry>* out) {
  Reader reader(data);
  switch (type) {
    case SessionStateType::kSystemVariable:
      while (reader.ok() && !reader.empty()) {
        SessionStateEntry entry{type, {}, {}};
        entry.name = reader.LenencBytes();
        entry.value = reader.LenencBytes();
        if (reader.ok()) out->push_back(std::move(entry));
      }
      return reader.ok();
    case SessionStateType::kGtids:
      reader.U8();  // encoding: always 0, the text form
      [[fallthrough]];
    case SessionStateType::kSchema:
    case SessionStateType::kStateChange:
    case SessionStateType::kTransactionCharacteristics:
    case SessionStateType::kTransactionState: {
      SessionStateEntry entry{type, {}, std::string(reader.LenencBytes())};
      if (reader.ok()) out->push_back(std::move(entry));
      return reader.ok();
    }
  }
  return true;
}

}  // namespace

std::optional<std::vector<SessionStateEntry>> ParseSessionState(std::string_view bytes) {
  std::vector<SessionStateEntry> entries;
  Reader reader(bytes);
  while (!reader.empty()) {
    auto type = static_cast<SessionStateType>(reader.U8());
    std::string_view data = reader.LenencBytes();
    if (!reader.ok() || !ParseEntry(type, data, &entries)) return std::nullopt;
  }
  if (!reader.ok()) return std::nullopt;
  return entries;
}

void AppendSessionState(std::string* out, const SessionStateEntry& entry) {
  std::string data;
  if (entry.type == SessionStateType::kSystemVariable) PutLenencBytes(&data, entry.name);
  if (entry.type == SessionStateType::kGtids) PutU8(&data, 0);
  PutLenencBytes(&data, entry.value);
  PutU8(out, static_cast<uint8_t>(entry.type));
  PutLenencBytes(out, data);
}

std::string SessionStateValue(std::string_view bytes, SessionStateType type) {
  std::optional<std::vector<SessionStateEntry>> entries = ParseSessionState(bytes);
  if (!entries) return {};
  for (auto it = entries->rbegin(); it != entries->rend(); ++it) {
    if (it->type == type) return it->value;
  }
  return {};
}

std::string RenameSchemaInSessionState(std::string_view bytes, std::string_view from,
                                       std::string_view to) {
  std::string out;
  Reader reader(bytes);
  while (!reader.empty()) {
    std::string_view before = reader.rest();
    auto type = static_cast<SessionStateType>(reader.U8());
    std::string_view data = reader.LenencBytes();
    if (!reader.ok()) return std::string(bytes);
    Reader inner(data);
    if (type == SessionStateType::kSchema && inner.LenencBytes() == from && inner.ok()) {
      AppendSessionState(&out, {type, {}, std::string(to)});
    } else {
      out.append(before.substr(0, before.size() - reader.remaining()));
    }
  }
  return out;
}

}  // namespace paceline::mysql::wire
