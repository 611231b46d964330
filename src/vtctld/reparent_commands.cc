// The reparent family: four requests for one driver, and the announcement of a reparent that
// somebody else made.
#include "base/log.h"
#include "drive/reparent_driver.h"
#include "io/loop.h"
#include "replicationdata.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

void FillEvents(const std::vector<std::string>& lines, auto* events) {
  WallTime now = io::Loop::Current().clock().WallNow();
  for (const std::string& line : lines) {
    logutil::Event* event = events->Add();
    event->mutable_time()->set_seconds(now.unix_ns / 1'000'000'000);
    event->mutable_time()->set_nanoseconds(static_cast<int32_t>(now.unix_ns % 1'000'000'000));
    event->set_file("vtctld");
    event->set_line(1);
    event->set_value(line);
  }
}

}  // namespace

io::Task<Result<Vtctld::Reparented>> Vtctld::Reparent(ReparentAsked asked,
                                                      std::function<void(std::string)> told,
                                                      Deadline deadline) {
  drive::ReparentOptions options;
  options.coordinator = "vtctld";
  options.shard = asked.shard;
  options.request = asked.request;
  if (asked.wait_replicas > Duration(0)) options.wait_replicas = asked.wait_replicas;
  options.wait_for_all = asked.wait_for_all;
  Reparented outcome;
  auto keep = [&outcome, told](std::string line) {
    outcome.events.push_back(line);
    if (told) told(std::move(line));
  };
  drive::ReparentDriver driver(topo_, connect_, options, keep);
  Result<record::TabletAlias> primary = co_await driver.Run(deadline);
  if (!primary) co_return Fail(primary.error());
  outcome.primary = *primary;
  co_return outcome;
}

VTCTLD_METHOD(PlannedReparentShard) {
  ReparentAsked asked;
  asked.shard = {request.keyspace(), request.shard()};
  asked.request.action = reparent::Action::kPlanned;
  asked.request.new_primary = ToRecord(request.new_primary());
  asked.request.avoid_primary = ToRecord(request.avoid_primary());
  asked.request.expected_primary = ToRecord(request.expected_primary());
  // Vitess's default is the primary's cell; a named one may be anywhere.
  asked.request.allow_cross_cell =
      request.allow_cross_cell_promotion() || request.has_new_primary();
  Duration lag = ToDuration(request.tolerable_replication_lag());
  if (lag > Duration(0)) asked.request.tolerable_lag = lag;
  asked.wait_replicas = ToDuration(request.wait_replicas_timeout());
  Result<Reparented> done = co_await Reparent(asked, nullptr, deadline);
  if (!done) co_return Fail(done.error());
  response.set_keyspace(request.keyspace());
  response.set_shard(request.shard());
  Fill(done->primary, response.mutable_promoted_primary());
  FillEvents(done->events, response.mutable_events());
  co_return Status();
}

VTCTLD_METHOD(EmergencyReparentShard) {
  ReparentAsked asked;
  asked.shard = {request.keyspace(), request.shard()};
  asked.request.action = reparent::Action::kEmergency;
  asked.request.new_primary = ToRecord(request.new_primary());
  asked.request.expected_primary = ToRecord(request.expected_primary());
  asked.request.allow_cross_cell = !request.prevent_cross_cell_promotion();
  for (const auto& alias : request.ignore_replicas()) asked.request.ignore.insert(ToRecord(alias));
  asked.wait_replicas = ToDuration(request.wait_replicas_timeout());
  asked.wait_for_all = request.wait_for_all_tablets();
  Result<Reparented> done = co_await Reparent(asked, nullptr, deadline);
  if (!done) co_return Fail(done.error());
  response.set_keyspace(request.keyspace());
  response.set_shard(request.shard());
  Fill(done->primary, response.mutable_promoted_primary());
  FillEvents(done->events, response.mutable_events());
  co_return Status();
}

VTCTLD_METHOD(InitShardPrimary) {
  record::KeyspaceShard name{request.keyspace(), request.shard()};
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  record::TabletAlias wanted = ToRecord(request.primary_elect_tablet_alias());
  const record::TabletAlias& leads = shard->value.primary_alias;
  if (!leads.empty() && leads != wanted && !request.force()) {
    co_return Fail(Code::kFailedPrecondition,
                   "shard {} has primary {} already: use PlannedReparentShard, or --force",
                   name.ToString(), leads.ToString());
  }
  ReparentAsked asked;
  asked.shard = name;
  asked.request.action = reparent::Action::kInit;
  asked.request.new_primary = wanted;
  asked.request.force = request.force();
  asked.wait_replicas = ToDuration(request.wait_replicas_timeout());
  Result<Reparented> done = co_await Reparent(asked, nullptr, deadline);
  if (!done) co_return Fail(done.error());
  FillEvents(done->events, response.mutable_events());
  co_return Status();
}

VTCTLD_METHOD(ReparentTablet) {
  record::TabletAlias alias = ToRecord(request.tablet());
  auto tablet = co_await topo_.GetTablet(alias, deadline);
  if (!tablet) co_return Fail(tablet.error());
  ReparentAsked asked;
  asked.shard = {tablet->value.keyspace, tablet->value.shard};
  asked.request.action = reparent::Action::kReparentTablet;
  asked.request.new_primary = alias;
  Result<Reparented> done = co_await Reparent(asked, nullptr, deadline);
  if (!done) co_return Fail(done.error());
  response.set_keyspace(tablet->value.keyspace);
  response.set_shard(tablet->value.shard);
  Fill(done->primary, response.mutable_primary());
  co_return Status();
}

VTCTLD_METHOD(TabletExternallyReparented) {
  record::TabletAlias alias = ToRecord(request.tablet());
  Result<Reached> reached = co_await Reach(alias, deadline);
  if (!reached) co_return Fail(reached.error());
  const record::Tablet& tablet = reached->tablet;
  auto shard = co_await topo_.GetShard(tablet.keyspace, tablet.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  record::TabletAlias old = shard->value.primary_alias;
  response.set_keyspace(tablet.keyspace);
  response.set_shard(tablet.shard);
  Fill(alias, response.mutable_new_primary());
  if (!old.empty()) Fill(old, response.mutable_old_primary());
  if (old == alias) co_return Status();

  tabletmanagerdata::ChangeTypeRequest change;
  tabletmanagerdata::ChangeTypeResponse changed;
  change.set_tablet_type(topodata::PRIMARY);
  Status done = co_await reached->manager->ChangeType(change, changed, deadline);
  if (!done && done.error().code() == Code::kFailedPrecondition) {
    // Our tablets lead by a term alone: it is given one, and the others follow it.
    ReparentAsked asked;
    asked.shard = {tablet.keyspace, tablet.shard};
    asked.request.action = reparent::Action::kEmergency;
    asked.request.new_primary = alias;
    Result<Reparented> reparented = co_await Reparent(asked, nullptr, deadline);
    if (!reparented) co_return Fail(reparented.error());
    co_return Status();
  }
  if (!done) co_return Fail(done.error().Context("making " + alias.ToString() + " the primary"));
  WallTime now = io::Loop::Current().clock().WallNow();
  topo::Server::ShardFn set = [alias, now](record::Shard& value) -> Result<bool> {
    value.primary_alias = alias;
    value.primary_term_start = now;
    return true;
  };
  auto updated = co_await topo_.UpdateShardFields(tablet.keyspace, tablet.shard, set, deadline);
  if (!updated) co_return Fail(updated.error());
  co_return Status();
}

}  // namespace paceline::vtctld
