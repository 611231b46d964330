// What vtorc is not to heal for now.
#include "topo/maintenance.h"

#include "base/strings.h"
#include "vtctld/command/command.h"
#include "vtctld/vtctld.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

namespace {

void Show(port::CommandOutput& out, const topo::Maintenance& maintenance) {
  if (maintenance.empty()) out.Print("nothing is in maintenance\n");
  for (const auto& [name, why] : maintenance) {
    std::string what = name == "*" ? "the whole cluster" : name;
    out.Print(fmt::format("{}: {}\n", what, why));
  }
}

}  // namespace

io::Task<Status> SetMaintenance(Call& call) {
  std::string why;
  FlagSet flags = call.Flags();
  flags.Text("why", &why, "the reason, shown wherever somebody asks");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 2)) co_return *end;
  bool on = Lower(args[0]) == "on";
  if (!on && Lower(args[0]) != "off") {
    co_return Fail(Code::kInvalidArgument,
                   "SetMaintenance: \"{}\" is neither on nor off. Usage: {} {}", args[0],
                   call.command->name, call.command->usage);
  }
  if (call.local == nullptr) {
    std::vector<std::string> words = {"SetMaintenance"};
    words.insert(words.end(), call.words.begin(), call.words.end());
    Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
    co_return done;
  }
  std::string name = args.size() > 1 ? args[1] : "*";
  topo::Server& topo = call.local->topo();
  auto now = co_await topo::SetMaintenance(topo, name, on, why, call.deadline);
  if (!now) co_return Fail(now.error());
  Show(call.out, *now);
  co_return Status();
}

io::Task<Status> GetMaintenance(Call& call) {
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 0)) co_return *end;
  if (call.local == nullptr) {
    std::vector<std::string> words = {"GetMaintenance"};
    Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
    co_return done;
  }
  auto now = co_await topo::ReadMaintenance(call.local->topo(), nullptr, call.deadline);
  if (!now) co_return Fail(now.error());
  Show(call.out, *now);
  co_return Status();
}

}  // namespace paceline::vtctld::command
