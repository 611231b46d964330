// cli/client.h - vtctldclient and vtctlclient. Exit codes: 0 done, 1 refused or failed (one line on
// standard error), 2 wrong words. What commands print goes to standard output; the steps of a
// legacy command go to standard error.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "port/vtctld.h"

namespace paceline::cli {

// For --server=internal: makes vtctld's logic in this process from the given flags of vtctld, lets
// `run` use it, and ends it.
using UseInternal =
    std::function<io::Task<Status>(io::Loop& loop, std::vector<std::string> flags,
                                   std::function<io::Task<Status>(port::Vtctld&)> run)>;

// Whether a flag of vtctld needs a value; nothing where vtctld has no such flag.
using FlagOfVtctld = std::function<std::optional<bool>(const std::string& name)>;
struct InternalVtctld {
  FlagOfVtctld flag;
  UseInternal use;
};

// `arguments` without the program's name.
int VtctldclientMain(const std::vector<std::string>& arguments, InternalVtctld internal);
int VtctlclientMain(const std::vector<std::string>& arguments);

// What stands around a command, wherever it was typed.
struct Globals {
  std::string server;
  Duration action_timeout = std::chrono::hours(1);
  bool json = false, compact = false, help = false;
  std::string tls_ca, tls_cert, tls_key, tls_server_name;
  std::vector<std::string> internal_flags;  // of vtctld, for --server=internal
  std::string credentials_file;  // {"Username": ..., "Password": ...}, as Vitess's clients have
};
// Takes the global flags out of `words`, before and behind the command's name, up to "--".
// Errors: kInvalidArgument naming the flag.
Result<Globals> TakeGlobals(std::vector<std::string>* words, const FlagOfVtctld& vtctld = {});

// Runs one command of vtctldclient against `vtctld`. Errors: those of the command.
io::Task<Status> RunWords(std::vector<std::string> words, Globals globals, port::Vtctld& vtctld,
                          port::CommandOutput& output);
// All commands, by group.
std::string CommandList();
// Errors: kInvalidArgument for other shells than bash and zsh.
Result<std::string> CompletionScript(std::string_view shell);

}  // namespace paceline::cli
