// ResizeStorage.
#include "base/quantity.h"
#include "vtctld/command/command.h"
#include "vtctld/vtctld.h"

namespace paceline::vtctld::command {

io::Task<Status> ResizeStorage(Call& call) {
  Vtctld::ResizeAsked asked;
  FlagSet flags = call.Flags();
  flags.Bool("dry-run", &asked.dry_run, "show which volumes would grow, in their order");
  flags.Time("wait", &asked.wait, "for each volume, until its tablet sees the new size");
  std::vector<std::string> args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Result<uint64_t> bytes = ParseBytes(args[1]);
  if (!bytes) co_return Fail(bytes.error());
  asked.bytes = *bytes;
  const bool whole_shard = args[0].find('/') != std::string::npos;
  if (whole_shard) {
    Result<record::KeyspaceShard> shard = record::ParseKeyspaceShard(args[0]);
    if (!shard) co_return Fail(shard.error());
    asked.shard = *shard;
  } else {
    Result<record::TabletAlias> alias = record::ParseTabletAlias(args[0]);
    if (!alias) co_return Fail(alias.error());
    asked.only = *alias;
  }
  if (call.local == nullptr) {  // the work is vtctld's
    std::vector<std::string> words = {"ResizeStorage"};
    words.insert(words.end(), call.words.begin(), call.words.end());
    Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
    co_return done;
  }
  if (!whole_shard) {
    auto tablet = co_await call.local->topo().GetTablet(asked.only, call.deadline);
    if (!tablet) co_return Fail(tablet.error());
    asked.shard = {tablet->value.keyspace, tablet->value.shard};
  }
  port::CommandOutput& out = call.out;
  std::function<void(std::string)> told = [&out](std::string line) { out.Print(line + "\n"); };
  Status done = co_await call.local->ResizeStorage(asked, told, call.deadline);
  co_return done;
}

}  // namespace paceline::vtctld::command
