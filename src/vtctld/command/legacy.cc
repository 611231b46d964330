// vtctlservice.Vtctl: the words of older clients, run against this vtctld by the same table.
#include "base/log.h"
#include "base/strings.h"
#include "vtctld/command/command.h"
#include "vtctld/vtctld.h"

namespace paceline::vtctld {
namespace {

std::string LegacyHelp() {
  std::string text = "Commands:\n";
  std::string_view group;
  for (const Command& command : AllCommands()) {
    if (command.shown >= Shown::kLater) continue;
    if (command.group != group) text += fmt::format("\n{}:\n", group = command.group);
    text += fmt::format("  {} {}\n", command.name, command.usage);
  }
  return text;
}

// For the log: what follows a flag that names a password is hidden.
std::string WithoutSecrets(std::vector<std::string> words) {
  bool hide = false;
  for (std::string& word : words) {
    const bool names_one = word.starts_with('-') && Lower(word).find("password") != word.npos;
    const size_t equals = word.find('=');
    if (hide) word = "***";
    if (names_one && equals != word.npos) word = word.substr(0, equals) + "=***";
    hide = names_one && equals == word.npos;
  }
  return Join(words, " ");
}

}  // namespace

io::Task<Status> Vtctld::ExecuteVtctlCommand(std::vector<std::string> args,
                                             port::CommandOutput& output, Deadline deadline) {
  Call call{*this, output, deadline, {}};
  call.legacy = true;
  call.local = this;
  size_t at = 0;
  for (; at < args.size() && args[at].starts_with('-'); ++at) {
    if (args[at] == "--legacy-names") {
      call.names = Names::kRunBook;
    } else if (args[at] != "--") {
      co_return Fail(Code::kInvalidArgument, "unknown flag {} before the command", args[at]);
    }
  }
  if (at == args.size() || EqualsIgnoreCase(args[at], "help")) {
    output.Print(LegacyHelp());
    co_return Status();
  }
  std::string name = args[at];
  call.words.assign(args.begin() + static_cast<std::ptrdiff_t>(at) + 1, args.end());
  LOG_INFO("legacy command {} {}", name, WithoutSecrets(call.words));
  Status done = co_await RunCommand(name, call);
  co_return done;
}

}  // namespace paceline::vtctld
