// Import: the course of a foreign server's import.
#include "vtctld/import.h"

#include "base/strings.h"
#include "vtctld/command/command.h"
#include "vtctld/vtctld.h"

namespace paceline::vtctld::command {
namespace {

// The words for vtctld: the password itself instead of the file that only this side can read.
Result<std::vector<std::string>> WordsFor(const Call& call, const std::string& password_file) {
  std::vector<std::string> words = {"Import"};
  words.insert(words.end(), call.words.begin(), call.words.end());
  if (password_file.empty()) return words;
  if (!call.read_file)
    return Fail(Code::kInvalidArgument, "Import: files cannot be read here: use vtctldclient");
  ASSIGN_OR_RETURN(std::string text, call.read_file(password_file));
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
  // The last of a flag counts, and vtctld reads no files.
  words.push_back("--source-password=" + text);
  words.emplace_back("--source-password-file=");
  return words;
}

}  // namespace

io::Task<Status> Import(Call& call) {
  ImportAsked asked;
  int port = asked.port;
  std::string password_file, tablet;
  FlagSet flags = call.Flags();
  flags.Text("source-host", &asked.host, "create: where the source listens");
  flags.Port("source-port", &port, "create: its port");
  flags.Text("source-user", &asked.user, "create: an account there, as docs/import.md makes it");
  flags.Text("source-password", &asked.password, "create: its password; seen by others in ps");
  flags.Text("source-password-file", &password_file, "create: the file that holds its password");
  flags.Text("source-db", &asked.database,
             "create: the database to serve, which is the tablets' --init-db-name-override; "
             "vt_<keyspace> when empty");
  flags.Text("tablet", &tablet,
             "create: the tablet that reads from the source; the shard's primary or first one when "
             "empty");
  flags.Time("write-stop-max", &asked.write_stop_max,
             "switch, back: given up where writes would stand still for longer");
  flags.Bool("force", &asked.force,
             "complete, cancel: also while the source does not answer, and is left as it is");
  std::vector<std::string> args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Result<record::KeyspaceShard> shard = record::ParseKeyspaceShard(args[1]);
  if (!shard) co_return Fail(shard.error());
  asked.shard = *shard;
  asked.port = static_cast<uint16_t>(port);
  if (!tablet.empty()) {
    Result<record::TabletAlias> alias = record::ParseTabletAlias(tablet);
    if (!alias) co_return Fail(alias.error());
    asked.tablet = *alias;
  }
  const std::string verb = Lower(args[0]);
  if (verb == "create" && (asked.host.empty() || asked.user.empty()))
    co_return Fail(Code::kInvalidArgument, "Import create needs --source-host and --source-user");
  if (call.local == nullptr) {  // the work is vtctld's
    Result<std::vector<std::string>> words = WordsFor(call, password_file);
    if (!words) co_return Fail(words.error());
    Status done = co_await call.vtctld.ExecuteVtctlCommand(*words, call.out, call.deadline);
    co_return done;
  }
  port::CommandOutput& out = call.out;
  std::function<void(std::string)> told = [&out](std::string line) { out.Print(line + "\n"); };
  Status done = co_await call.local->Import(verb, std::move(asked), std::move(told), call.deadline);
  co_return done;
}

}  // namespace paceline::vtctld::command
