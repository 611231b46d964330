#include "console/operations.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace paceline::console {

using Json = nlohmann::json;

int64_t Operations::Begin(Operation operation, WallTime now) {
  while (list_.size() >= kKept) {
    const auto ended = std::ranges::find_if(
        list_, [](const Operation& operation) { return operation.ended.unix_ns != 0; });
    if (ended == list_.end()) break;  // as many run as may: console.cc bounds them
    list_.erase(ended);
  }
  operation.id = next_++;
  operation.began = now;
  list_.push_back(std::move(operation));
  changed_(list_.back());
  return list_.back().id;
}

void Operations::Add(int64_t id, std::string_view text) {
  Operation* operation = Mutable(id);
  if (operation == nullptr) return;
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  for (const std::string_view line : Split(text, '\n')) {
    if (operation->bytes + line.size() > kBytes) {
      operation->cut = true;
      break;
    }
    operation->bytes += line.size() + 1;
    operation->lines.emplace_back(line);
  }
  changed_(*operation);
}

void Operations::End(int64_t id, const Status& status, WallTime now) {
  Operation* operation = Mutable(id);
  if (operation == nullptr) return;
  operation->ended = now;
  if (!status) operation->error = status.error().ToString();
  changed_(*operation);
}

const Operation* Operations::Find(int64_t id) const {
  const auto found = std::ranges::find(list_, id, &Operation::id);
  return found == list_.end() ? nullptr : &*found;
}

Operation* Operations::Mutable(int64_t id) { return const_cast<Operation*>(Find(id)); }

size_t Operations::running() const {
  return static_cast<size_t>(std::ranges::count_if(
      list_, [](const Operation& operation) { return operation.ended.unix_ns == 0; }));
}

namespace {

Json Told(const Operation& operation) {
  const bool running = operation.ended.unix_ns == 0;
  return {{"id", operation.id},
          {"action", operation.action},
          {"target", operation.target},
          {"command", operation.command},
          {"who", operation.who},
          {"state", running                   ? "running"
                    : operation.error.empty() ? "done"
                                              : "failed"},
          {"began", operation.began.unix_ns / 1'000'000},
          {"ended", running ? Json() : Json(operation.ended.unix_ns / 1'000'000)},
          {"error", operation.error},
          {"line_count", operation.lines.size()},
          {"last_line", operation.lines.empty() ? "" : operation.lines.back().substr(0, 300)}};
}

}  // namespace

Json Summary(const Operation& operation) {
  Json json = Told(operation);
  if (operation.needs < access::Role::kAdmin) return json;
  json["command"] = json["last_line"] = "";
  if (!operation.error.empty()) json["error"] = "an admin sees why";
  return json;
}

Json ToJson(const Operation& operation) {
  Json json = Told(operation);
  json["lines"] = operation.lines;
  json["cut"] = operation.cut;
  return json;
}

}  // namespace paceline::console
