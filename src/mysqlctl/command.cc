#include "mysqlctl/command.h"

#include <cstdio>
#include <optional>

#include "base/strings.h"
#include "io/blocking.h"
#include "mysqlctl/folder_lock.h"
#include "mysqlctl/role.h"
#include "mysqld/folder.h"

namespace paceline::mysqlctl {
namespace {

struct CommandOptions {
  Options common;
  bool force = false;
  bool keep = false;
  std::vector<std::string> mysqld_args;
};

// Removes a directory only after it was seen to be a tablet's: a wrong --tablet-uid or VTDATAROOT
// must not delete others' files.
io::Task<Status> Teardown(mysqld::Instance& instance, bool force, Deadline deadline) {
  std::string dir = instance.layout().dir;
  if (mysqld::IsEmptyFolder(dir))
    co_return Fail(Code::kNotFound, "{} does not exist: nothing to tear down", dir);
  bool ours = !mysqld::ReadFileFrom(instance.layout().my_cnf(), 0, 1).empty();
  if (!ours)
    co_return Fail(Code::kFailedPrecondition,
                   "{} has no my.cnf: it is not a tablet's folder, nothing was removed", dir);
  Status done = co_await instance.Teardown(force, deadline);
  co_return done;
}

io::Task<Status> StartUnlessHeld(mysqld::Instance& instance, const CommandOptions& options,
                                 Deadline deadline) {
  if (ReadRole(instance.layout()) == Role::kPrimary && !options.keep) {
    Result<bool> running = instance.Attach();
    if (running && !*running) {
      co_return Fail(Code::kFailedPrecondition,
                     "mysqld of {} was a primary when it ended: vttablet decides how it starts "
                     "(start --keep starts it as it is)",
                     instance.layout().dir);
    }
  }
  Status started = co_await instance.Start(options.mysqld_args, deadline);
  co_return started;
}

io::Task<Status> RunOn(mysqld::Instance& instance, std::string command,
                       const CommandOptions& options, Deadline deadline) {
  Status done;
  if (command == "init") {
    done = co_await instance.Init(deadline);
    if (done) done = co_await instance.Start(options.mysqld_args, deadline);
  } else if (command == "init_config") {
    done = instance.InitConfig();
  } else if (command == "reinit_config") {
    done = instance.ReinitConfig();
  } else if (command == "start") {
    done = co_await StartUnlessHeld(instance, options, deadline);
  } else if (command == "shutdown") {
    done = co_await instance.Shutdown(deadline);
  } else {
    done = co_await Teardown(instance, options.force, deadline);
  }
  co_return done;
}

io::Task<Status> Run(io::Loop& loop, std::string command, CommandOptions options,
                     Environment environment) {
  bool stops = command == "shutdown" || command == "teardown";
  Deadline deadline = Deadline::In(options.common.wait_time);
  Result<mysqld::InstanceOptions> resolved =
      co_await Resolve(options.common, environment, !stops, deadline);
  if (!resolved) co_return Fail(resolved.error());
  mysqld::Instance instance(loop, std::move(*resolved));
  // A mysqlctld would undo what this does, or work on in a folder that is gone. `shutdown` alone is
  // also for a server that has one: a pod ends so.
  std::optional<FolderLock> lock;
  bool absent = command == "teardown" && mysqld::IsEmptyFolder(instance.layout().dir);
  if (command != "shutdown" && !absent) {
    Result<FolderLock> taken = FolderLock::Take(instance.layout(), instance.options().user);
    if (!taken) co_return Fail(taken.error().Context(command));
    lock.emplace(std::move(*taken));
  }
  Status done = co_await RunOn(instance, command, options, deadline);
  co_return done;
}

// What the words are wrong about exits with 2, what could not be done with 1, as everywhere.
int Say(const Error& error, int code = 1) {
  std::string text = error.ToString();
  fmt::print(stderr, "{}{}\n", text.starts_with("mysqlctl: ") ? "" : "mysqlctl: ", text);
  return code;
}

}  // namespace

Result<std::string> PositionCommand(const std::string& operation, const std::string& a,
                                    const std::string& b) {
  ASSIGN_OR_RETURN(gtid::Set first, gtid::Set::ParseEncoded(a));
  if (operation == "append") {
    std::string_view text = b;
    size_t slash = text.find('/');
    gtid::Flavor flavor = first.flavor();
    if (slash != std::string_view::npos && first.Empty()) {
      flavor = text.substr(0, slash) == gtid::FlavorName(gtid::Flavor::kMariadb)
                   ? gtid::Flavor::kMariadb
                   : gtid::Flavor::kMysql;
    }
    ASSIGN_OR_RETURN(gtid::Gtid gtid, gtid::Gtid::Parse(flavor, text));
    first.Add(gtid);
    return first.ToEncoded();
  }
  ASSIGN_OR_RETURN(gtid::Set second, gtid::Set::ParseEncoded(b));
  if (operation == "equal") return first == second ? "true" : "false";
  if (operation == "at_least") return first.Contains(second) ? "true" : "false";
  return Fail(Code::kInvalidArgument, "position {}: equal, at_least or append", operation);
}

int MysqlctlMain(const std::vector<std::string>& arguments, const Environment& environment) {
  CommandOptions options;
  FlagSet flags("mysqlctl", "init|init_config|start|shutdown|teardown|reinit_config|position",
                "Makes, starts and stops the mysqld of one tablet.");
  AddFlags(flags, options.common);
  flags.Bool("force", &options.force, "teardown: kill a mysqld that does not stop");
  flags.Alias("f", "force");
  flags.Bool("keep", &options.keep, "start: also a mysqld that ended while it was primary");
  flags.TextList("mysqld-args", &options.mysqld_args, "start: further arguments of mysqld");
  Result<std::vector<std::string>> words = flags.Parse(arguments);
  if (!words) return Say(words.error(), 2);
  if (flags.help_asked() || words->empty()) {
    fmt::print(flags.help_asked() ? stdout : stderr, "{}", flags.Help());
    return flags.help_asked() ? 0 : 2;
  }
  std::string command = ReplaceAll((*words)[0], "-", "_");
  if (command == "position") {
    if (words->size() != 4)
      return Say(Error(Code::kInvalidArgument, "position takes an operation and two positions"), 2);
    Result<std::string> answer = PositionCommand((*words)[1], (*words)[2], (*words)[3]);
    if (!answer) return Say(answer.error());
    fmt::print("{}\n", *answer);
    return 0;
  }
  static constexpr std::string_view kCommands[] = {"init",     "init_config", "start",
                                                   "shutdown", "teardown",    "reinit_config"};
  bool known = false;
  for (std::string_view one : kCommands) known |= command == one;
  if (!known || words->size() != 1) {
    return Say(Error(Code::kInvalidArgument,
                     fmt::format("\"{}\" is not a command; see --help", Join(*words, " "))),
               2);
  }
  io::Loop loop;
  Status done = io::RunUntilDone(loop, Run(loop, command, options, environment));
  return done ? 0 : Say(done.error());
}

}  // namespace paceline::mysqlctl
