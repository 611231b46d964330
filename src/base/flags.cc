#include "base/flags.h"

#include <stdlib.h>

#include <algorithm>

#include "base/check.h"
#include "base/strings.h"

namespace paceline {
namespace {

std::string Canonical(std::string_view name) {
  std::string out = Lower(name);
  std::replace(out.begin(), out.end(), '_', '-');
  return out;
}

Status Bad(std::string_view value, std::string_view wanted) {
  return Fail(Code::kInvalidArgument, "\"{}\" is not {}", value, wanted);
}

}  // namespace

Result<Duration> ParseDuration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double ns;
  };
  static constexpr Unit kUnits[] = {{"ns", 1},  {"us", 1e3}, {"ms", 1e6},
                                    {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  std::string_view rest = text;
  double total = 0;
  bool negative = !rest.empty() && rest[0] == '-';
  if (negative) rest.remove_prefix(1);
  if (rest.empty())
    return Fail(Code::kInvalidArgument, "\"{}\" is not a duration: use 250ms, 30s, 5m or 2h", text);
  while (!rest.empty()) {
    size_t digits = rest.find_first_not_of("0123456789.");
    std::string number(rest.substr(0, digits));
    rest.remove_prefix(digits == std::string_view::npos ? rest.size() : digits);
    size_t letters = rest.find_first_of("0123456789.");
    std::string_view unit = rest.substr(0, letters);
    rest.remove_prefix(unit.size());
    if (unit.empty() && total == 0) unit = "s";
    auto found = std::find_if(std::begin(kUnits), std::end(kUnits),
                              [&](const Unit& u) { return u.name == unit; });
    char* end = nullptr;
    double value = strtod(number.c_str(), &end);
    if (number.empty() || *end != '\0' || found == std::end(kUnits) || value > 1e9) {
      return Fail(Code::kInvalidArgument, "\"{}\" is not a duration: use 250ms, 30s, 5m or 2h",
                  text);
    }
    total += value * found->ns;
  }
  return Duration(static_cast<int64_t>(negative ? -total : total));
}

std::string DurationText(Duration duration) {
  int64_t ns = duration.count();
  if (ns == 0) return "0s";
  if (ns % 1'000'000 != 0) return fmt::format("{}ns", ns);
  if (ns % 1'000'000'000 != 0) return fmt::format("{}ms", ns / 1'000'000);
  int64_t seconds = ns / 1'000'000'000;
  std::string out;
  if (seconds >= 3600) out += fmt::format("{}h", seconds / 3600);
  if (seconds % 3600 >= 60) out += fmt::format("{}m", seconds % 3600 / 60);
  if (seconds % 60 != 0) out += fmt::format("{}s", seconds % 60);
  return out;
}

FlagSet::FlagSet(std::string program, std::string usage, std::string description)
    : program_(std::move(program)),
      usage_(std::move(usage)),
      description_(std::move(description)) {}

void FlagSet::Add(Flag flag) {
  flag.name = Canonical(flag.name);
  CHECK_MSG(Find(flag.name) == nullptr, "flag declared twice: " + flag.name);
  flags_.push_back(std::move(flag));
}

void FlagSet::Text(std::string_view name, std::string* value, std::string_view help) {
  Add({.name = std::string(name),
       .kind = "text",
       .shown_default = *value,
       .help = std::string(help),
       .assign = [value](std::string_view text) -> Status {
         *value = text;
         return {};
       }});
}

void FlagSet::TextList(std::string_view name, std::vector<std::string>* value,
                       std::string_view help) {
  auto first = std::make_shared<bool>(true);
  Add({.name = std::string(name),
       .kind = "list",
       .shown_default = Join(*value, ","),
       .help = std::string(help),
       .assign = [value, first](std::string_view text) -> Status {
         if (*first) value->clear();
         *first = false;
         for (std::string_view part : Split(text, ',')) value->emplace_back(Trim(part));
         return {};
       }});
}

void FlagSet::Bool(std::string_view name, bool* value, std::string_view help) {
  Add({.name = std::string(name),
       .kind = "",
       .shown_default = *value ? "true" : "",
       .help = std::string(help),
       .is_bool = true,
       .assign = [value](std::string_view text) -> Status {
         bool yes = text == "true" || text == "1" || text == "t";
         bool no = text == "false" || text == "0" || text == "f";
         if (!yes && !no) return Bad(text, "true or false");
         *value = yes;
         return {};
       }});
}

void FlagSet::Int(std::string_view name, int64_t* value, std::string_view help) {
  Add({.name = std::string(name),
       .kind = "number",
       .shown_default = std::to_string(*value),
       .help = std::string(help),
       .assign = [value](std::string_view text) -> Status {
         std::optional<int64_t> number = ParseInt(text);
         if (!number) return Bad(text, "a whole number");
         *value = *number;
         return {};
       }});
}

void FlagSet::Share(std::string_view name, double* value, std::string_view help) {
  Add({.name = std::string(name),
       .kind = "share",
       .shown_default = fmt::format("{}", *value),
       .help = std::string(help),
       .assign = [value](std::string_view text) -> Status {
         const std::string copy(text);
         char* end = nullptr;
         const double share = strtod(copy.c_str(), &end);
         const bool whole = !copy.empty() && *end == 0;
         if (!whole || !(share >= 0 && share <= 1)) return Bad(text, "a number from 0 to 1");
         *value = share;
         return {};
       }});
}

void FlagSet::Port(std::string_view name, int* value, std::string_view help) {
  Add({.name = std::string(name),
       .kind = "port",
       .shown_default = std::to_string(*value),
       .help = std::string(help),
       .assign = [value](std::string_view text) -> Status {
         std::optional<int64_t> number = ParseInt(text);
         if (!number || *number < 0 || *number > 65535) return Bad(text, "a port (0 to 65535)");
         *value = static_cast<int>(*number);
         return {};
       }});
}

void FlagSet::Time(std::string_view name, Duration* value, std::string_view help) {
  Add({.name = std::string(name),
       .kind = "duration",
       .shown_default = DurationText(*value),
       .help = std::string(help),
       .assign = [value](std::string_view text) -> Status {
         ASSIGN_OR_RETURN(*value, ParseDuration(text));
         return {};
       }});
}

void FlagSet::Alias(std::string_view alias, std::string_view name) {
  Flag* target = Find(name);
  CHECK(target != nullptr);
  Flag flag = *target;
  flag.name = alias;
  flag.hidden = true;
  flag.alias_of = target->name;
  Add(std::move(flag));
}

void FlagSet::Ignored(std::string_view name, bool takes_value) {
  Add({.name = std::string(name),
       .kind = takes_value ? "text" : "",
       .help = "accepted and without effect",
       .is_bool = !takes_value,
       .assign = [](std::string_view) -> Status { return {}; }});
}

FlagSet::Flag* FlagSet::Find(std::string_view name) {
  std::string wanted = Canonical(name);
  for (Flag& flag : flags_) {
    if (flag.name == wanted) return &flag;
  }
  return nullptr;
}

bool FlagSet::WasSet(std::string_view name) const {
  std::string wanted = Canonical(name);
  return std::any_of(flags_.begin(), flags_.end(), [&](const Flag& flag) {
    return flag.set && (flag.name == wanted || flag.alias_of == wanted);
  });
}

Result<std::vector<std::string>> FlagSet::Parse(const std::vector<std::string>& arguments,
                                                bool stop_at_positional) {
  std::vector<std::string> positional;
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    bool is_flag =
        argument.size() > 1 && argument[0] == '-' && !(argument[1] >= '0' && argument[1] <= '9');
    if (argument == "--" || (!is_flag && stop_at_positional)) {
      positional.insert(positional.end(),
                        arguments.begin() + static_cast<long>(i) + (argument == "--" ? 1 : 0),
                        arguments.end());
      return positional;
    }
    if (!is_flag) {
      positional.emplace_back(argument);
      continue;
    }
    std::string_view name = argument.substr(argument[1] == '-' ? 2 : 1);
    std::string_view value;
    size_t equals = name.find('=');
    bool has_value = equals != std::string_view::npos;
    if (has_value) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    Flag* flag = Find(name);
    if (flag == nullptr) {
      if (name == "help" || name == "h") {
        help_asked_ = true;
        continue;
      }
      if (name == "version" || name == "v") {
        version_asked_ = true;
        continue;
      }
      return Fail(Code::kInvalidArgument, "{}: unknown flag \"{}\": see {} --help", program_,
                  argument, program_);
    }
    if (!has_value && flag->is_bool) {
      value = "true";
    } else if (!has_value) {
      if (i + 1 == arguments.size()) {
        return Fail(Code::kInvalidArgument, "{}: flag --{} needs a value ({})", program_,
                    flag->name, flag->kind);
      }
      value = arguments[++i];
    }
    Status assigned = flag->assign(value);
    if (!assigned)
      return Fail(assigned.error().Context(fmt::format("{}: flag --{}", program_, flag->name)));
    flag->set = true;
  }
  return positional;
}

std::vector<std::string> FlagSet::Names() const {
  std::vector<std::string> names;
  for (const Flag& flag : flags_) {
    if (!flag.hidden) names.push_back(flag.name);
  }
  return names;
}

Status FlagSet::ParseFlagsOnly(const std::vector<std::string>& arguments) {
  ASSIGN_OR_RETURN(std::vector<std::string> rest, Parse(arguments));
  if (rest.empty() || help_asked_) return {};
  return Fail(Code::kInvalidArgument, "{}: unexpected argument \"{}\": see {} --help", program_,
              rest[0], program_);
}

std::string FlagSet::Help() const {
  std::string out = fmt::format("{}\n\nUsage: {} {}\n", description_, program_, usage_);
  if (flags_.empty()) return out;
  out += "\nFlags:\n";
  std::vector<const Flag*> sorted;
  for (const Flag& flag : flags_) {
    if (!flag.hidden) sorted.push_back(&flag);
  }
  std::sort(sorted.begin(), sorted.end(),
            [](const Flag* a, const Flag* b) { return a->name < b->name; });
  for (const Flag* flag : sorted) {
    std::string left =
        fmt::format("--{}{}{}", flag->name, flag->kind.empty() ? "" : " ", flag->kind);
    std::string shown =
        flag->shown_default.empty() ? "" : fmt::format(" (default {})", flag->shown_default);
    out += fmt::format("  {:<40} {}{}\n", left, flag->help, shown);
  }
  return out;
}

}  // namespace paceline
