// Finding and running a command.
#include <algorithm>

#include "base/strings.h"
#include "record/record.h"
#include "topodata.pb.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"

namespace paceline::vtctld {
namespace {

// Levenshtein's distance, without case.
size_t Distance(std::string_view typed, std::string_view name) {
  std::string a = Lower(typed), b = Lower(name);
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t corner = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, corner + (a[i - 1] == b[j - 1] ? 0 : 1)});
      corner = above;
    }
  }
  return row[b.size()];
}

}  // namespace

FlagSet Call::Flags() {
  std::string usage = std::string(command->name);
  if (!command->usage.empty()) usage += " " + std::string(command->usage);
  std::string program = legacy ? "vtctlclient" : "vtctldclient";
  FlagSet flags(program, usage, std::string(command->summary));
  flags.Bool("json", &json, "print the whole answer as JSON");
  flags.Alias("j", "json");
  flags.Bool("compact", &compact, "JSON without fields that are not set");
  return flags;
}

std::optional<Status> Call::Parse(FlagSet& flags, std::vector<std::string>* arguments, size_t min,
                                  size_t max) {
  // The old client's "--" before the flags meant nothing.
  if (legacy && !words.empty() && words[0] == "--") words.erase(words.begin());
  Result<std::vector<std::string>> parsed = flags.Parse(words);
  if (!parsed) return Fail(parsed.error().Context(command->name));
  if (flags.help_asked()) {
    out.Print(flags.Help());
    return Status();
  }
  if (parsed->size() < min || parsed->size() > max) {
    return Fail(
        Code::kInvalidArgument, "{} takes {}{} argument{}, not {}. Usage: {} {}", command->name,
        min == max             ? ""
        : parsed->size() < min ? "at least "
                               : "at most ",
        parsed->size() < min ? min : max, (parsed->size() < min ? min : max) == 1 ? "" : "s",
        parsed->size(), command->name, command->usage);
  }
  *arguments = std::move(*parsed);
  return std::nullopt;
}

Status Call::Json(const google::protobuf::Message& message) const {
  Line(ToJson(message, {.compact = compact}));
  return {};
}

bool Call::WholeAsJson(const google::protobuf::Message& response) const {
  if (json) Line(ToJson(response, {.compact = compact}));
  return json;
}

void Call::Event(std::string_view text) const {
  if (legacy) {
    out.Log(text);
  } else {
    Line(text);
  }
}

const Command* FindCommand(std::string_view name) {
  for (const Command& command : AllCommands()) {
    if (EqualsIgnoreCase(command.name, name)) return &command;
    for (std::string_view alias : command.aliases) {
      if (EqualsIgnoreCase(alias, name)) return &command;
    }
  }
  return nullptr;
}

std::vector<std::string> NearestNames(std::string_view typed) {
  std::vector<std::pair<size_t, std::string>> near;
  for (const Command& command : AllCommands()) {
    if (command.shown >= Shown::kLater) continue;
    size_t distance = Distance(typed, command.name);
    bool begins = typed.size() > 2 && StartsWithIgnoreCase(command.name, typed);
    if (begins) distance = 1;
    if (distance <= 1 + typed.size() / 3) near.emplace_back(distance, command.name);
  }
  std::ranges::sort(near);
  std::vector<std::string> names;
  for (size_t i = 0; i < near.size() && i < 3; ++i) names.push_back(near[i].second);
  return names;
}

io::Task<Status> RunCommand(std::string name, Call& call) {
  call.command = FindCommand(name);
  if (call.command == nullptr) {
    std::vector<std::string> near = NearestNames(name);
    if (near.empty())
      co_return Fail(Code::kInvalidArgument, "unknown command {}: \"help\" lists them", name);
    co_return Fail(Code::kInvalidArgument, "unknown command {}: did you mean {}?", name,
                   Join(near, " or "));
  }
  Status done = co_await call.command->run(call);
  co_return done;
}

Status ReadAlias(const std::string& text, topodata::TabletAlias* out) {
  Result<record::TabletAlias> alias = record::ParseTabletAlias(text);
  if (!alias) return Fail(alias.error());
  out->set_cell(alias->cell);
  out->set_uid(alias->uid);
  return {};
}

}  // namespace paceline::vtctld
