// Tablets: records, and calls that are passed on to the tablet itself.
#include <algorithm>

#include "base/log.h"
#include "query.pb.h"
#include "reparent/durability.h"
#include "replicationdata.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {

io::Task<Result<Vtctld::Reached>> Vtctld::Reach(record::TabletAlias alias, Deadline deadline) {
  auto tablet = co_await topo_.GetTablet(alias, deadline);
  if (!tablet) co_return Fail(tablet.error());
  Reached reached;
  reached.manager = connect_(tablet->value);
  reached.tablet = std::move(tablet->value);
  co_return reached;
}

io::Task<Result<Vtctld::Reached>> Vtctld::ReachPrimary(record::KeyspaceShard name,
                                                       Deadline deadline) {
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  if (shard->value.primary_alias.empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "shard {} has no primary: elect one with PlannedReparentShard {}",
                   name.ToString(), name.ToString());
  }
  Result<Reached> reached = co_await Reach(shard->value.primary_alias, deadline);
  co_return reached;
}

io::Task<Result<std::vector<Vtctld::Reached>>> Vtctld::ReachShard(record::KeyspaceShard name,
                                                                  Deadline deadline) {
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  if (!tablets->failed_cells.empty()) {
    const auto& [cell, error] = *tablets->failed_cells.begin();
    co_return Fail(error.Context("the tablets of " + name.ToString() + " in cell " + cell));
  }
  std::vector<Reached> all;
  for (auto& tablet : tablets->tablets) {
    std::shared_ptr<port::TabletManager> manager = connect_(tablet.value);
    all.push_back({std::move(tablet.value), std::move(manager)});
  }
  co_return all;
}

VTCTLD_METHOD(GetTablet) {
  auto tablet = co_await topo_.GetTablet(ToRecord(request.tablet_alias()), deadline);
  if (!tablet) co_return Fail(tablet.error());
  Fill(*tablet, response.mutable_tablet());
  co_return Status();
}

VTCTLD_METHOD(GetTablets) {
  std::vector<topo::Stored<record::Tablet>> found;
  if (request.tablet_aliases_size() > 0) {
    for (const topodata::TabletAlias& alias : request.tablet_aliases()) {
      auto tablet = co_await topo_.GetTablet(ToRecord(alias), deadline);
      if (tablet) found.push_back(std::move(*tablet));
      if (!tablet && request.strict()) co_return Fail(tablet.error());
    }
  } else if (request.cells_size() > 0) {
    auto cells = co_await topo_.ExpandCells(ToVector(request.cells()), deadline);
    if (!cells) co_return Fail(cells.error());
    size_t failed = 0;
    Error last(Code::kUnavailable, "no cell");
    for (const std::string& cell : *cells) {
      auto tablets = co_await topo_.ListTabletsOfCell(cell, deadline);
      if (tablets) std::ranges::move(*tablets, std::back_inserter(found));
      if (tablets) continue;
      ++failed;
      last = tablets.error();
      LOG_WARNING("listing the tablets of cell {}: {}", cell, last.message());
    }
    if (failed > 0 && (request.strict() || failed == cells->size())) co_return Fail(last);
  } else {
    auto tablets = co_await topo_.ListTablets(deadline);
    if (!tablets) co_return Fail(tablets.error());
    if (!tablets->failed_cells.empty() && request.strict()) {
      const auto& [cell, error] = *tablets->failed_cells.begin();
      co_return Fail(error.Context("cell " + cell));
    }
    found = std::move(tablets->tablets);
  }
  std::ranges::sort(found, {}, [](const auto& stored) { return stored.value.alias; });
  // Two tablets of type PRIMARY: the older one has not noticed yet, so it is shown as of an unknown
  // type, as Vitess does.
  std::map<record::KeyspaceShard, WallTime> newest;
  for (const auto& stored : found) {
    if (stored.value.type != record::TabletType::kPrimary) continue;
    WallTime& term = newest[{stored.value.keyspace, stored.value.shard}];
    term = std::max(term, stored.value.primary_term_start);
  }
  for (const auto& stored : found) {
    const record::Tablet& tablet = stored.value;
    record::TabletType type = tablet.type;
    bool outdated = type == record::TabletType::kPrimary &&
                    tablet.primary_term_start < newest[{tablet.keyspace, tablet.shard}];
    if (outdated) type = record::TabletType::kUnknown;
    if (!request.keyspace().empty() && tablet.keyspace != request.keyspace()) continue;
    if (!request.shard().empty() && tablet.shard != request.shard()) continue;
    if (request.tablet_type() != topodata::UNKNOWN &&
        static_cast<int>(type) != request.tablet_type())
      continue;
    topodata::Tablet* out = response.add_tablets();
    Fill(stored, out);
    out->set_type(static_cast<topodata::TabletType>(type));
  }
  co_return Status();
}

VTCTLD_METHOD(DeleteTablets) {
  std::string errors;
  for (const topodata::TabletAlias& alias : request.tablet_aliases()) {
    Status deleted = co_await DeleteOneTablet(ToRecord(alias), request.allow_primary(), deadline);
    if (!deleted) errors += (errors.empty() ? "" : "; ") + deleted.error().message();
  }
  if (!errors.empty()) co_return Fail(Code::kFailedPrecondition, "{}", errors);
  co_return Status();
}

VTCTLD_METHOD(ChangeTabletType) {
  record::TabletAlias alias = ToRecord(request.tablet_alias());
  auto before = co_await topo_.GetTablet(alias, deadline);
  if (!before) co_return Fail(before.error());
  record::TabletType from = before->value.type;
  auto to = static_cast<record::TabletType>(request.db_type());
  auto serves = [](record::TabletType type) {
    return type == record::TabletType::kReplica || type == record::TabletType::kRdonly ||
           type == record::TabletType::kSpare || type == record::TabletType::kExperimental ||
           type == record::TabletType::kDrained || type == record::TabletType::kBackup ||
           type == record::TabletType::kRestore;
  };
  if (!serves(from) || !serves(to)) {
    co_return Fail(
        Code::kInvalidArgument,
        "{} cannot change from {} to {}: primaries are made and unmade by PlannedReparentShard",
        alias.ToString(), record::TabletTypeName(from), record::TabletTypeName(to));
  }
  response.set_was_dry_run(request.dry_run());
  Fill(*before, response.mutable_before_tablet());
  Fill(*before, response.mutable_after_tablet());
  response.mutable_after_tablet()->set_type(request.db_type());
  if (request.dry_run()) co_return Status();

  const record::Tablet& tablet = before->value;
  auto keyspace = co_await topo_.GetKeyspace(tablet.keyspace, deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  auto shard = co_await topo_.GetShard(tablet.keyspace, tablet.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  Result<reparent::Durability> durability =
      reparent::ParseDurability(keyspace->value.durability_policy);
  if (!durability) co_return Fail(durability.error());
  reparent::Member primary{shard->value.primary_alias, record::TabletType::kPrimary};
  std::shared_ptr<port::TabletManager> manager = connect_(tablet);
  tabletmanagerdata::ChangeTypeRequest change;
  tabletmanagerdata::ChangeTypeResponse changed;
  change.set_tablet_type(request.db_type());
  change.set_semisync(!primary.alias.empty() &&
                      reparent::MayAcknowledge(*durability, primary, {alias, to}));
  // One at a time: of two tablets that may leave only one by one, both would find the other.
  std::string why =
      fmt::format("ChangeTabletType({}, {})", alias.ToString(), record::TabletTypeName(to));
  auto lock = co_await topo_.LockShard(tablet.keyspace, tablet.shard, why, deadline);
  if (!lock) co_return Fail(lock.error());
  Status done = co_await manager->ChangeType(change, changed, deadline);
  Status released = co_await (*lock)->Release(Deadline::In(5s));
  if (!released) LOG_WARNING("{}", released.error().Context(why).ToString());
  if (!done) co_return Fail(done.error().Context("changing the type of " + alias.ToString()));
  auto after = co_await topo_.GetTablet(alias, deadline);
  if (!after) co_return Fail(after.error());
  Fill(*after, response.mutable_after_tablet());
  co_return Status();
}

VTCTLD_METHOD(ChangeTabletTags) {
  record::TabletAlias alias = ToRecord(request.tablet_alias());
  Result<Reached> reached = co_await Reach(alias, deadline);
  if (!reached) co_return Fail(reached.error());
  tabletmanagerdata::ChangeTagsRequest change;
  tabletmanagerdata::ChangeTagsResponse changed;
  *change.mutable_tags() = request.tags();
  change.set_replace(request.replace());
  Status done = co_await reached->manager->ChangeTags(change, changed, deadline);
  if (!done) co_return Fail(done.error().Context("changing the tags of " + alias.ToString()));
  for (const auto& [key, value] : reached->tablet.tags)
    (*response.mutable_before_tags())[key] = value;
  *response.mutable_after_tags() = changed.tags();
  co_return Status();
}

VTCTLD_METHOD(SetWritable) {
  record::TabletAlias alias = ToRecord(request.tablet_alias());
  Result<Reached> reached = co_await Reach(alias, deadline);
  if (!reached) co_return Fail(reached.error());
  const record::Tablet& tablet = reached->tablet;
  if (request.writable() && tablet.type != record::TabletType::kPrimary) {
    auto shard = co_await topo_.GetShard(tablet.keyspace, tablet.shard, deadline);
    if (!shard) co_return Fail(shard.error());
    const record::TabletAlias& leader = shard->value.primary_alias;
    if (!leader.empty() && leader != alias) {
      co_return Fail(Code::kFailedPrecondition,
                     "{} is a {} of {}/{}, whose primary is {}: written to, it would drift apart; "
                     "PlannedReparentShard makes it primary",
                     alias.ToString(), record::TabletTypeName(tablet.type), tablet.keyspace,
                     tablet.shard, leader.ToString());
    }
  }
  Status done;
  if (request.writable()) {
    tabletmanagerdata::SetReadWriteRequest ask;
    tabletmanagerdata::SetReadWriteResponse answer;
    done = co_await reached->manager->SetReadWrite(ask, answer, deadline);
  } else {
    tabletmanagerdata::SetReadOnlyRequest ask;
    tabletmanagerdata::SetReadOnlyResponse answer;
    done = co_await reached->manager->SetReadOnly(ask, answer, deadline);
  }
  if (!done) co_return Fail(done.error().Context(alias.ToString()));
  co_return Status();
}

VTCTLD_METHOD(StartReplication) {
  record::TabletAlias alias = ToRecord(request.tablet_alias());
  Result<Reached> reached = co_await Reach(alias, deadline);
  if (!reached) co_return Fail(reached.error());
  const record::Tablet& tablet = reached->tablet;
  auto keyspace = co_await topo_.GetKeyspace(tablet.keyspace, deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  auto shard = co_await topo_.GetShard(tablet.keyspace, tablet.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  Result<reparent::Durability> durability =
      reparent::ParseDurability(keyspace->value.durability_policy);
  if (!durability) co_return Fail(durability.error());
  if (shard->value.primary_alias.empty()) {
    co_return Fail(Code::kFailedPrecondition, "shard {}/{} has no primary to replicate from",
                   tablet.keyspace, tablet.shard);
  }
  reparent::Member primary{shard->value.primary_alias, record::TabletType::kPrimary};
  tabletmanagerdata::StartReplicationRequest ask;
  tabletmanagerdata::StartReplicationResponse answer;
  ask.set_semisync(reparent::MayAcknowledge(*durability, primary, {alias, tablet.type}));
  Status done = co_await reached->manager->StartReplication(ask, answer, deadline);
  if (!done) co_return Fail(done.error().Context(alias.ToString()));
  co_return Status();
}

// Methods that only pass a message on to the tablet named in the request.
#define PASS_ON(Method, TabletMethod)                                             \
  VTCTLD_METHOD(Method) {                                                         \
    record::TabletAlias alias = ToRecord(request.tablet_alias());                 \
    Result<Reached> reached = co_await Reach(alias, deadline);                    \
    if (!reached) co_return Fail(reached.error());                                \
    tabletmanagerdata::TabletMethod##Request ask;                                 \
    tabletmanagerdata::TabletMethod##Response answer;                             \
    Before(request, reached->tablet, &ask);                                       \
    Status done = co_await reached->manager->TabletMethod(ask, answer, deadline); \
    if (!done) co_return Fail(done.error().Context(alias.ToString()));            \
    After(answer, &response);                                                     \
    co_return Status();                                                           \
  }

namespace {

namespace tm = tabletmanagerdata;

void Before(const auto&, const record::Tablet&, auto*) {}
void After(const auto&, auto*) {}

void Before(const vtctldata::PingTabletRequest&, const record::Tablet&, tm::PingRequest* out) {
  out->set_payload("payload");
}
void Before(const vtctldata::SleepTabletRequest& request, const record::Tablet&,
            tm::SleepRequest* out) {
  out->set_duration(ToDuration(request.duration()).count());
}
void Before(const vtctldata::ExecuteHookRequest& request, const record::Tablet&,
            tm::ExecuteHookRequest* out) {
  *out = request.tablet_hook_request();
}
void After(const tm::ExecuteHookResponse& answer, vtctldata::ExecuteHookResponse* out) {
  *out->mutable_hook_result() = answer;
}
void After(const tm::FullStatusResponse& answer, vtctldata::GetFullStatusResponse* out) {
  *out->mutable_status() = answer.status();
}
void After(const tm::GetPermissionsResponse& answer, vtctldata::GetPermissionsResponse* out) {
  *out->mutable_permissions() = answer.permissions();
}
void Before(const vtctldata::ExecuteFetchAsAppRequest& request, const record::Tablet&,
            tm::ExecuteFetchAsAppRequest* out) {
  out->set_query(request.query());
  out->set_max_rows(static_cast<uint64_t>(request.max_rows()));
}
void After(const tm::ExecuteFetchAsAppResponse& answer, vtctldata::ExecuteFetchAsAppResponse* out) {
  *out->mutable_result() = answer.result();
}
void Before(const vtctldata::ExecuteFetchAsDBARequest& request, const record::Tablet& tablet,
            tm::ExecuteFetchAsDbaRequest* out) {
  out->set_query(request.query());
  out->set_db_name(tablet.DbName());
  out->set_max_rows(static_cast<uint64_t>(request.max_rows()));
  out->set_disable_binlogs(request.disable_binlogs());
  out->set_reload_schema(request.reload_schema());
}
void After(const tm::ExecuteFetchAsDbaResponse& answer, vtctldata::ExecuteFetchAsDBAResponse* out) {
  *out->mutable_result() = answer.result();
}
void Before(const vtctldata::ExecuteMultiFetchAsDBARequest& request, const record::Tablet& tablet,
            tm::ExecuteMultiFetchAsDbaRequest* out) {
  out->set_sql(request.sql());
  out->set_db_name(tablet.DbName());
  out->set_max_rows(static_cast<uint64_t>(request.max_rows()));
  out->set_disable_binlogs(request.disable_binlogs());
  out->set_reload_schema(request.reload_schema());
}
void After(const tm::ExecuteMultiFetchAsDbaResponse& answer,
           vtctldata::ExecuteMultiFetchAsDBAResponse* out) {
  *out->mutable_results() = answer.results();
}

}  // namespace

PASS_ON(PingTablet, Ping)
PASS_ON(SleepTablet, Sleep)
PASS_ON(ExecuteHook, ExecuteHook)
PASS_ON(GetFullStatus, FullStatus)
PASS_ON(GetPermissions, GetPermissions)
PASS_ON(RefreshState, RefreshState)
PASS_ON(RunHealthCheck, RunHealthCheck)
PASS_ON(StopReplication, StopReplication)
PASS_ON(ReloadSchema, ReloadSchema)
PASS_ON(ExecuteFetchAsApp, ExecuteFetchAsApp)
PASS_ON(ExecuteFetchAsDBA, ExecuteFetchAsDba)
PASS_ON(ExecuteMultiFetchAsDBA, ExecuteMultiFetchAsDba)
#undef PASS_ON

namespace {

io::Task<void> RefreshOne(std::shared_ptr<port::TabletManager> manager, record::TabletAlias alias,
                          std::map<record::TabletAlias, std::string>* failed, Deadline deadline) {
  tabletmanagerdata::RefreshStateRequest ask;
  tabletmanagerdata::RefreshStateResponse answer;
  Status done = co_await manager->RefreshState(ask, answer, deadline);
  if (!done) (*failed)[alias] = done.error().message();
}

}  // namespace

VTCTLD_METHOD(RefreshStateByShard) {
  record::KeyspaceShard name{request.keyspace(), request.shard()};
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  std::vector<std::string> cells = ToVector(request.cells());
  std::map<record::TabletAlias, std::string> failed;
  Together join;
  Deadline limit = Deadline::In(30s).EarlierOf(deadline);
  for (const auto& stored : tablets->tablets) {
    const record::Tablet& tablet = stored.value;
    if (!cells.empty() && std::ranges::find(cells, tablet.alias.cell) == cells.end()) continue;
    join.Start(RefreshOne(connect_(tablet), tablet.alias, &failed, limit));
  }
  co_await join.Wait();
  std::string details;
  for (const auto& [alias, error] : failed)
    details += fmt::format("failed to refresh {}: {}\n", alias.ToString(), error);
  for (const auto& [cell, error] : tablets->failed_cells)
    details += fmt::format("cell {}: {}\n", cell, error.message());
  response.set_is_partial_refresh(!details.empty());
  response.set_partial_refresh_details(details);
  co_return Status();
}

}  // namespace paceline::vtctld
