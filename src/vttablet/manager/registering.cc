// What a tablet writes into the topology: its own record, its type, and, as the primary, the
// shard's.
#include <algorithm>

#include "base/log.h"
#include "tabletmanagerdata.pb.h"
#include "vttablet/manager/manager.h"

namespace paceline::vttablet {

using record::TabletType;

// Another living tablet under our alias would be two writers to one record, and to one directory's
// worth of trust.
io::Task<Status> Manager::RefuseTwin(record::Tablet recorded, Deadline deadline) {
  bool same =
      recorded.hostname == tablet_.hostname && recorded.Port("grpc") == tablet_.Port("grpc");
  if (same || !needs_.call_tablet || recorded.Port("grpc") == 0) co_return Status();
  std::shared_ptr<port::TabletManager> other = needs_.call_tablet(recorded);
  tabletmanagerdata::PingRequest ping;
  tabletmanagerdata::PingResponse pong;
  ping.set_payload("twin?");
  Status alive = co_await other->Ping(ping, pong, Deadline::In(1s).EarlierOf(deadline));
  if (!alive) co_return Status();
  co_return Fail(
      Code::kAlreadyExists,
      "tablet {} already runs at {}: choose another uid in --tablet-path, or stop that one",
      tablet_.alias.ToString(), recorded.GrpcAddress());
}

io::Task<Status> Manager::Register(Deadline deadline) {
  record::TabletAlias alias = tablet_.alias;
  Status own = co_await carried_.RestoreOwn(Deadline::In(2s).EarlierOf(deadline));
  if (!own) LOG_WARNING("{}", own.error().ToString());
  // A tablet that knows whom it followed need not wait for the topology.
  Duration patience = state_.leader.empty() ? Duration(10s) : Duration(2s);
  auto recorded =
      co_await needs_.topo->GetTablet(alias, Deadline::In(patience).EarlierOf(deadline));
  if (!recorded && recorded.error().code() != Code::kNotFound) {
    // The topology is away: what flags and the state file tell is enough to run; the status loop
    // writes the record when it is back.
    LOG_WARNING("registering later: {}", recorded.error().ToString());
    co_return Status();
  }
  if (recorded) {
    if (recorded->value.keyspace != tablet_.keyspace || recorded->value.shard != tablet_.shard) {
      co_return Fail(Code::kFailedPrecondition,
                     "tablet {} is recorded for {}/{}, not {}/{}: delete its record first",
                     alias.ToString(), recorded->value.keyspace, recorded->value.shard,
                     tablet_.keyspace, tablet_.shard);
    }
    Status alone = co_await RefuseTwin(recorded->value, deadline);
    if (!alone) co_return alone;
    if (!role_known_ && !seeding_) {
      // RESTORE: a seed was cut short.
      bool keep = recorded->value.type != TabletType::kUnknown &&
                  recorded->value.type != TabletType::kRestore;
      if (keep) tablet_.type = recorded->value.type;
      tablet_.primary_term_start = recorded->value.primary_term_start;
    }
    record::Tablet now = tablet_;
    const bool seeded_no_more = !seeding_;  // a process that ended meanwhile left its word of it
    topo::Server::TabletFn update = [now, seeded_no_more](record::Tablet& stored) -> Result<bool> {
      record::Tablet wanted = now;
      wanted.tags = stored.tags;
      if (seeded_no_more) wanted.tags.erase(kSeedTag);
      bool differs = !(wanted == stored);
      stored = wanted;
      return differs;
    };
    auto updated = co_await needs_.topo->UpdateTabletFields(alias, std::move(update), deadline);
    if (!updated) co_return Fail(updated.error().Context("registering the tablet"));
  }
  auto shard = co_await needs_.topo->GetOrCreateShard(tablet_.keyspace, tablet_.shard, deadline);
  if (!shard) co_return Fail(shard.error().Context("creating the shard's record"));
  shard_ = shard->value;
  if (!recorded) {
    Status created = co_await needs_.topo->CreateTablet(tablet_, deadline);
    if (!created) co_return Fail(created.error().Context("registering the tablet"));
  }
  registered_ = true;
  std::vector<std::string> cells = {tablet_.alias.cell};
  Status graph = co_await needs_.topo->RebuildKeyspace(tablet_.keyspace, cells, true, deadline);
  if (!graph)
    LOG_WARNING("rebuilding the serving graph of {}: {}", tablet_.keyspace,
                graph.error().ToString());
  cells = {tablet_.alias.cell};
  Status vschema = co_await needs_.topo->RebuildVSchemaGraph(cells, deadline);
  if (!vschema) LOG_WARNING("rebuilding the VSchema graph: {}", vschema.error().ToString());
  co_return Status();
}

io::Task<void> Manager::KeepTopology() {
  Status published = co_await PublishShard(Deadline::In(3s));
  Status rest = published;
  if (published) rest = co_await carried_.RestoreRest(Deadline::In(5s));
  std::vector<std::string> cells;  // all
  if (rest) {
    rest = co_await needs_.topo->RebuildKeyspace(tablet_.keyspace, cells, true, Deadline::In(5s));
  }
  if (rest) rest = co_await needs_.topo->RebuildVSchemaGraph(cells, Deadline::In(5s));
  if (!rest) LOG_WARNING("putting the topology back: {}", rest.error().ToString());
}

io::Task<Status> Manager::PublishType(Deadline deadline) {
  record::TabletAlias alias = tablet_.alias;
  TabletType type = tablet_.type;
  WallTime start = tablet_.primary_term_start;
  topo::Server::TabletFn update = [type, start](record::Tablet& stored) -> Result<bool> {
    bool differs = stored.type != type || stored.primary_term_start != start;
    stored.type = type;
    stored.primary_term_start = start;
    return differs;
  };
  auto updated = co_await needs_.topo->UpdateTabletFields(alias, std::move(update), deadline);
  if (!updated) co_return Fail(updated.error().Context("recording the tablet's type"));
  co_return Status();
}

void Manager::PublishTypeSoon() {
  type_published_ = false;
  if (publishing_type_) return;
  publishing_type_ = true;
  io::Detach(PublishTypeUntilDone(*this));
}

io::Task<void> Manager::PublishTypeUntilDone(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass && !self.type_published_) {
    self.type_published_ = true;  // until it changes again meanwhile
    Status published = co_await self.PublishType(Deadline::In(5s));
    if (published) continue;
    self.type_published_ = false;
    LOG_WARNING("{}", published.error().ToString());
    bool open = co_await io::Sleep(self.gate_, Deadline::In(500ms));
    if (!open) break;
  }
  self.publishing_type_ = false;
}

// What a coordinator publishes; done here where it was Vitess's, or where the record has been wrong
// for a while (I6).
io::Task<Status> Manager::PublishShard(Deadline deadline) {
  record::TabletAlias alias = tablet_.alias;
  WallTime start = tablet_.primary_term_start;
  // Who holds a lease knows that nobody else leads, whatever clocks and records say: a coordinator
  // that was overtaken may have written its own primary after ours.
  bool certain = lease_.leased() && lease_.Holds();
  topo::Server::ShardFn update = [alias, start, certain](record::Shard& stored) -> Result<bool> {
    if (stored.primary_alias == alias) return false;
    if (stored.primary_term_start > start && !certain) return false;
    stored.primary_alias = alias;
    stored.primary_term_start.unix_ns =
        std::max(start.unix_ns, stored.primary_term_start.unix_ns + 1);
    return true;
  };
  auto updated = co_await needs_.topo->UpdateShardFields(tablet_.keyspace, tablet_.shard,
                                                         std::move(update), deadline);
  if (!updated) co_return Fail(updated.error().Context("recording the primary of the shard"));
  shard_ = *updated;
  co_return Status();
}

}  // namespace paceline::vttablet
