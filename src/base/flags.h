// base/flags.h - command line flags as Vitess's programs take them: one or two dashes, dashes and
// underscores alike,
// "--name value", "--name=value", booleans with or without a value, durations as "250ms", "30s",
// "1m30s", "2h". Not CLI11: it reads "-sql x" as a cluster of short options, so every argument
// would have to be rewritten before and every message after. Threads: one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace paceline {

// "1m30s" and so on; a bare number means seconds. Errors: kInvalidArgument.
Result<Duration> ParseDuration(std::string_view text);
// "1m30s", "250ms", "0s".
std::string DurationText(Duration duration);

class FlagSet {
 public:
  // `usage`: what follows the program's name, e.g. "ListAllTablets [cell]". `description`: a
  // sentence.
  FlagSet(std::string program, std::string usage, std::string description);

  // The variable keeps its value when the flag is not given; that value is shown as the default.
  void Text(std::string_view name, std::string* value, std::string_view help);
  void TextList(std::string_view name, std::vector<std::string>* value,
                std::string_view help);  // comma or repeated
  void Bool(std::string_view name, bool* value, std::string_view help);
  void Int(std::string_view name, int64_t* value, std::string_view help);
  // Between 0 and 1.
  void Share(std::string_view name, double* value, std::string_view help);
  void Port(std::string_view name, int* value, std::string_view help);
  void Time(std::string_view name, Duration* value, std::string_view help);
  // Another name for a flag, not shown in the help.
  void Alias(std::string_view alias, std::string_view name);
  // Accepted for Vitess's sake and without effect, said in the help.
  void Ignored(std::string_view name, bool takes_value);

  // Positional arguments. Flags and positionals may mix; "--" ends the flags. `stop_at_positional`:
  // what follows the first positional is left to its command. Errors: kInvalidArgument naming the
  // flag.
  Result<std::vector<std::string>> Parse(const std::vector<std::string>& arguments,
                                         bool stop_at_positional = false);
  // The same for programs that take flags only: a positional argument is an error too.
  Status ParseFlagsOnly(const std::vector<std::string>& arguments);
  // "--help" or "-h" was among them.
  bool help_asked() const { return help_asked_; }
  bool version_asked() const { return version_asked_; }
  bool WasSet(std::string_view name) const;
  std::string Help() const;
  std::vector<std::string> Names() const;

 private:
  struct Flag {
    std::string name, kind, shown_default, help;
    bool is_bool = false;
    bool hidden = false;
    bool set = false;
    std::string alias_of;
    std::function<Status(std::string_view)> assign;
  };
  void Add(Flag flag);
  Flag* Find(std::string_view name);

  std::string program_, usage_, description_;
  std::vector<Flag> flags_;
  bool help_asked_ = false;
  bool version_asked_ = false;
};

}  // namespace paceline
