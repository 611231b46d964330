// The reparent commands, in today's words and the run-book's.
#include "mysqlctl.pb.h"
#include "vtctld/command/command.h"
#include "vtctld/json.h"
#include "vtctld/vtctld.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld::command {

using Arguments = std::vector<std::string>;

namespace {

constexpr Duration kWaitReplicas = std::chrono::seconds(30);

// The shard by its name, or as the old flag --keyspace_shard; old commands also named the new
// primary second.
std::optional<Status> ShardAndPrimary(FlagSet& flags, Call& call, std::string* shard,
                                      std::string* primary) {
  flags.Text("keyspace-shard", shard, "the shard, as older clients name it");
  flags.Text("new-primary", primary, "the tablet to lead; empty: the best is chosen");
  flags.Alias("new-master", "new-primary");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 0, 2)) return end;
  if (!args.empty() && shard->empty()) {
    *shard = args[0];
    args.erase(args.begin());
  }
  if (!args.empty() && primary->empty()) {
    *primary = args[0];
    args.erase(args.begin());
  }
  if (shard->empty() || !args.empty()) {
    return Fail(Code::kInvalidArgument, "{} takes one shard. Usage: {} {}", call.command->name,
                call.command->name, call.command->usage);
  }
  return std::nullopt;
}

template <class Alias>
Status ReadIfGiven(const std::string& text, Alias make) {
  if (text.empty()) return {};
  return ReadAlias(text, make());
}

}  // namespace

io::Task<Status> PlannedReparentShard(Call& call) {
  vtctldata::PlannedReparentShardRequest request;
  vtctldata::PlannedReparentShardResponse response;
  std::string shard, primary, avoid, expected;
  Duration wait = kWaitReplicas, lag{0};
  bool cross_cell = false;
  FlagSet flags = call.Flags();
  flags.Text("avoid-primary", &avoid,
             "move away from this tablet; nothing happens when it does not lead");
  flags.Alias("avoid-tablet", "avoid-primary");
  flags.Alias("avoid-master", "avoid-primary");
  flags.Text("expected-primary", &expected, "refuse when another tablet leads");
  flags.Time("wait-replicas-timeout", &wait, "how long each step may wait for tablets");
  flags.Time("tolerable-replication-lag", &lag, "refuse tablets that lag more; 0: any");
  flags.Bool("allow-cross-cell-promotion", &cross_cell, "a tablet of another cell may be chosen");
  if (std::optional<Status> end = ShardAndPrimary(flags, call, &shard, &primary)) co_return *end;
  Status read = ReadShard(shard, &request);
  if (read) read = ReadIfGiven(primary, [&] { return request.mutable_new_primary(); });
  if (read) read = ReadIfGiven(avoid, [&] { return request.mutable_avoid_primary(); });
  if (read) read = ReadIfGiven(expected, [&] { return request.mutable_expected_primary(); });
  if (!read) co_return read;
  FillDuration(wait, request.mutable_wait_replicas_timeout());
  if (lag > Duration(0)) FillDuration(lag, request.mutable_tolerable_replication_lag());
  request.set_allow_cross_cell_promotion(cross_cell);
  Status done = co_await call.vtctld.PlannedReparentShard(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  for (const logutil::Event& event : response.events()) call.Event(event.value());
  co_return done;
}

namespace {

// With --force, which the typed request has no field for: by the words themselves, inside vtctld.
io::Task<Status> ForceEmergency(Call& call, vtctldata::EmergencyReparentShardRequest request) {
  if (call.local == nullptr) {
    std::vector<std::string> words = call.words;
    words.insert(words.begin(), "EmergencyReparentShard");
    Status done = co_await call.vtctld.ExecuteVtctlCommand(words, call.out, call.deadline);
    co_return done;
  }
  Vtctld::ReparentAsked asked;
  asked.shard = {request.keyspace(), request.shard()};
  asked.request.action = reparent::Action::kEmergency;
  asked.request.new_primary = {request.new_primary().cell(), request.new_primary().uid()};
  asked.request.expected_primary = {request.expected_primary().cell(),
                                    request.expected_primary().uid()};
  asked.request.allow_cross_cell = !request.prevent_cross_cell_promotion();
  asked.request.force = true;
  for (const auto& alias : request.ignore_replicas())
    asked.request.ignore.insert({alias.cell(), alias.uid()});
  asked.wait_replicas = std::chrono::seconds(request.wait_replicas_timeout().seconds());
  Call* self = &call;
  std::function<void(std::string)> told = [self](std::string line) { self->Event(line); };
  Result<Vtctld::Reparented> done = co_await call.local->Reparent(asked, told, call.deadline);
  if (!done) co_return Fail(done.error());
  co_return Status();
}

}  // namespace

io::Task<Status> EmergencyReparentShard(Call& call) {
  vtctldata::EmergencyReparentShardRequest request;
  vtctldata::EmergencyReparentShardResponse response;
  std::string shard, primary, expected;
  Arguments ignore;
  Duration wait = kWaitReplicas;
  bool prevent = false, all = false, force = false;
  FlagSet flags = call.Flags();
  flags.Text("expected-primary", &expected, "refuse when another tablet leads");
  flags.TextList("ignore-replicas", &ignore, "tablets not to be promoted");
  flags.Alias("i", "ignore-replicas");
  flags.Time("wait-replicas-timeout", &wait, "how long each step may wait for tablets");
  flags.Bool("prevent-cross-cell-promotion", &prevent,
             "only a tablet of the old primary's cell may lead");
  flags.Bool("wait-for-all-tablets", &all, "refuse when a tablet does not answer");
  flags.Bool("force", &force, "accept the loss that a refusal without it names");
  if (std::optional<Status> end = ShardAndPrimary(flags, call, &shard, &primary)) co_return *end;
  Status read = ReadShard(shard, &request);
  if (read) read = ReadIfGiven(primary, [&] { return request.mutable_new_primary(); });
  if (read) read = ReadIfGiven(expected, [&] { return request.mutable_expected_primary(); });
  for (const std::string& alias : ignore) {
    if (read) read = ReadAlias(alias, request.add_ignore_replicas());
  }
  if (!read) co_return read;
  FillDuration(wait, request.mutable_wait_replicas_timeout());
  request.set_prevent_cross_cell_promotion(prevent);
  request.set_wait_for_all_tablets(all);
  if (force) {
    Status forced = co_await ForceEmergency(call, request);
    co_return forced;
  }
  Status done = co_await call.vtctld.EmergencyReparentShard(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  for (const logutil::Event& event : response.events()) call.Event(event.value());
  co_return done;
}

io::Task<Status> InitShardPrimary(Call& call) {
  vtctldata::InitShardPrimaryRequest request;
  vtctldata::InitShardPrimaryResponse response;
  bool force = false;
  Duration wait = kWaitReplicas;
  FlagSet flags = call.Flags();
  flags.Bool("force", &force, "also when the shard has a primary, or tablets are missing");
  flags.Time("wait-replicas-timeout", &wait, "how long each step may wait for tablets");
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 2, 2)) co_return *end;
  Status read = ReadShard(args[0], &request);
  if (read) read = ReadAlias(args[1], request.mutable_primary_elect_tablet_alias());
  if (!read) co_return read;
  request.set_force(force);
  FillDuration(wait, request.mutable_wait_replicas_timeout());
  Status done = co_await call.vtctld.InitShardPrimary(request, response, call.deadline);
  if (!done || call.WholeAsJson(response)) co_return done;
  for (const logutil::Event& event : response.events()) call.Event(event.value());
  co_return done;
}

io::Task<Status> ReparentTablet(Call& call) {
  vtctldata::ReparentTabletRequest request;
  vtctldata::ReparentTabletResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet());
  if (!read) co_return read;
  Status done = co_await call.vtctld.ReparentTablet(request, response, call.deadline);
  if (done && !call.legacy) co_return call.Json(response);
  co_return done;
}

io::Task<Status> TabletExternallyReparented(Call& call) {
  vtctldata::TabletExternallyReparentedRequest request;
  vtctldata::TabletExternallyReparentedResponse response;
  FlagSet flags = call.Flags();
  Arguments args;
  if (std::optional<Status> end = call.Parse(flags, &args, 1, 1)) co_return *end;
  Status read = ReadAlias(args[0], request.mutable_tablet());
  if (!read) co_return read;
  Status done = co_await call.vtctld.TabletExternallyReparented(request, response, call.deadline);
  if (done && !call.legacy) co_return call.Json(response);
  co_return done;
}

}  // namespace paceline::vtctld::command
