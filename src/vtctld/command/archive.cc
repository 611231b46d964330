// GetArchive.
#include "vtctld/command/command.h"
#include "vtctld/vtctld.h"

namespace paceline::vtctld::command {

io::Task<Status> GetArchive(Call& call) {
  bool ddl = false;
  FlagSet flags = call.Flags();
  flags.Bool("ddl", &ddl, "list the changes of the schema, each with its time and GTID");
  std::vector<std::string> args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Result<record::KeyspaceShard> shard = record::ParseKeyspaceShard(args[0]);
  if (!shard) co_return Fail(shard.error());
  if (call.local == nullptr) {  // the work is vtctld's
    std::vector<std::string> words = {"GetArchive", args[0]};
    if (ddl) words.push_back("--ddl");
    if (call.json) words.push_back("--json");
    Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
    co_return done;
  }
  port::CommandOutput& out = call.out;
  std::function<void(std::string)> told = [&out](std::string line) { out.Print(line + "\n"); };
  Status done = co_await call.local->DescribeArchive(*shard, ddl, call.json, told, call.deadline);
  co_return done;
}

}  // namespace paceline::vtctld::command
