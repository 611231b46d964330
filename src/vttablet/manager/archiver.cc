#include "vttablet/manager/archiver.h"

#include <algorithm>

#include "backup/catalog.h"
#include "base/log.h"
#include "io/blocking.h"
#include "paceline_agent.pb.h"

namespace paceline::vttablet {

using record::TabletType;

namespace {

constexpr Duration kAnswer = 1s, kRetry = 500ms;
// Who cannot begin for so long lets the next one try.
constexpr Duration kFailingMax = 10s;
// A run is passed over whole by who has all of it already.
constexpr Duration kRunMax = std::chrono::hours(1);

// As whom this tablet reads its own log: far from the server ids that mysqld is given.
uint32_t ReaderId(const record::TabletAlias& alias) {
  return 0xe0000000u + (alias.uid & 0x0fffffff);
}

}  // namespace

Result<backup::Archive> OpenArchive(const port::BackupPlace& place) {
  ASSIGN_OR_RETURN(std::unique_ptr<backup::Storage> storage,
                   backup::OpenStorage({place.storage, place.root}));
  std::string secret;
  if (!place.key_file.empty()) {
    ASSIGN_OR_RETURN(secret, backup::ReadSecret(place.key_file));
  }
  return backup::Archive::Of(std::move(storage), place.keyspace, place.shard, std::move(secret));
}

bool ArchivesBefore(const record::Tablet& one, const record::Tablet& other) {
  auto rank = [](const record::Tablet& tablet) {
    return std::pair(tablet.type == TabletType::kPrimary, tablet.alias.ToString());
  };
  return rank(one) < rank(other);
}

Archiver::Archiver(io::Loop& loop, ArchiverOptions options, topo::Server& topo,
                   CallTablet call_tablet, std::function<ArchiverSight()> sight)
    : loop_(loop),
      options_(std::move(options)),
      topo_(topo),
      call_tablet_(std::move(call_tablet)),
      sight_(std::move(sight)) {}

Duration Archiver::Lag() const {
  if (!stream_ || stream_->progress().oldest_unix_s == 0) return Duration(0);
  int64_t now = loop_.clock().WallNow().unix_ns;
  return Duration(std::max<int64_t>(0, now - stream_->progress().oldest_unix_s * 1'000'000'000LL));
}

bool Archiver::Able() const {
  bool failing = failing_since_.ns != 0 && loop_.Now() - failing_since_ > kFailingMax;
  return sight_().able && !failing;
}

void Archiver::Start(io::Gate& gate) {
  if (!options_.on) return;
  io::Detach(Loop(*this, gate));
}

void Archiver::Fill(agent::TabletStateResponse& out) const {
  if (!options_.on) return;
  agent::Archiving& archive = *out.mutable_archive();
  archive.set_able(Able());
  archive.set_running(streaming_ && stream_ != nullptr);
  archive.set_error(error_);
  if (!streaming_ || stream_ == nullptr) return;
  const backup::ArchiveProgress& progress = stream_->progress();
  archive.set_position(progress.position.ToEncoded());
  archive.set_lag_ms(Lag() / 1ms);
  archive.set_transactions(progress.transactions);
  if (!progress.error.empty()) archive.set_error(progress.error);
}

io::Task<std::string> Archiver::WhoElse(Deadline deadline) {
  const std::string& keyspace = options_.place.keyspace;
  auto listed = co_await topo_.ListTabletsOfShard(keyspace, options_.place.shard, deadline);
  if (!listed) co_return std::string();  // twice is better than not at all
  record::Tablet own;
  own.alias = options_.alias;
  own.type = sight_().leads ? TabletType::kPrimary : TabletType::kReplica;
  std::vector<record::Tablet> before;
  for (const auto& stored : listed->tablets) {
    if (stored.value.alias != own.alias && ArchivesBefore(stored.value, own))
      before.push_back(stored.value);
  }
  std::ranges::sort(before, ArchivesBefore);
  for (const record::Tablet& other : before) {
    std::shared_ptr<port::TabletManager> manager = call_tablet_(other);
    if (manager == nullptr) continue;
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered = co_await manager->TabletState(request, state, Deadline::In(kAnswer));
    if (!answered || !state.has_archive()) continue;
    // One that runs already goes on until its better is under way, so that no second is lost.
    bool serves = mine_ ? state.archive().running() : state.archive().able();
    if (serves) co_return other.alias.ToString();
  }
  co_return std::string();
}

bool Archiver::MayGoOn(const io::Gate& gate) const {
  ArchiverSight sight = sight_();
  return mine_ && sight.able && !gate.closed();
}

io::Task<void> Archiver::Loop(Archiver& self, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  Metrics& metrics = Metrics::Process();
  Archiver* here = &self;
  // The web's thread reads; each is one number that this loop sets whole.
  Gauge& running = metrics.AddGauge("ArchiveRunning", "1: this tablet archives its shard");
  Gauge& lag = metrics.AddGauge("ArchiveLagMs", "age of the oldest transaction not yet archived");
  Gauge& archived = metrics.AddGauge("ArchivedTransactions", "archived since this run began");
  while (pass && !gate.closed()) {
    ArchiverSight sight = here->sight_();
    std::string other;
    if (sight.able) other = co_await here->WhoElse(Deadline::In(3s));
    bool mine = sight.able && other.empty();
    if (mine != here->mine_) {
      LOG_INFO("{}", mine ? "archiving the binary log of this shard"
                          : "not archiving: " + (other.empty() ? "not able to" : other + " does"));
    }
    here->mine_ = mine;
    if (mine && !here->streaming_) {
      here->streaming_ = true;
      io::Detach(RunStream(self, gate));
    }
    running.Set(here->streaming_ && here->stream_ ? 1 : 0);
    lag.Set(here->Lag() / 1ms);
    if (here->stream_) archived.Set(static_cast<int64_t>(here->stream_->progress().transactions));
    bool open = co_await io::Sleep(gate, Deadline::In(here->options_.look));
    if (!open) break;
  }
  here->mine_ = false;
}

io::Task<void> Archiver::RunStream(Archiver& self, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  while (pass && self.MayGoOn(gate)) {
    Status ran = co_await self.OneRun(gate);
    bool wrote = self.stream_ != nullptr && self.stream_->progress().segments > 0;
    self.stream_.reset();
    if (ran || wrote) {
      self.failing_since_ = {};
    } else if (self.failing_since_.ns == 0) {
      self.failing_since_ = self.loop_.Now();
    }
    if (!ran) {
      std::string error = ran.error().ToString();
      if (error != self.error_) LOG_WARNING("archiving: {}", error);
      self.error_ = error;
    }
    if (!self.MayGoOn(gate)) break;
    if (ran) continue;
    bool open = co_await io::Sleep(gate, Deadline::In(kRetry));
    if (!open) break;
  }
  self.streaming_ = false;
}

io::Task<Status> Archiver::OneRun(io::Gate& gate) {
  struct Kept {
    backup::Archive archive;
    Result<std::optional<gtid::Set>> position;
  };
  std::function<Result<Kept>()> open = [place = options_.place]() -> Result<Kept> {
    ASSIGN_OR_RETURN(backup::Archive archive, OpenArchive(place));
    return Kept{archive, archive.Position()};
  };
  Result<Kept> kept = co_await io::RunBlocking<Result<Kept>>(std::move(open));
  if (!kept) co_return Fail(kept.error());
  if (!kept->position) co_return Fail(kept->position.error());
  ArchiverSight sight = sight_();
  if (sight.replication == nullptr) co_return Fail(Code::kUnavailable, "mysqld has not answered");
  Result<backup::ArchiveStart> start =
      co_await backup::WhereToStart(*sight.replication, *kept->position, Deadline::In(5s));
  if (!start) co_return Fail(start.error());
  if (!start->gap.empty()) {
    LOG_ERROR(
        "the archive of {}/{} has a gap: the logs of this tablet do not hold {}; take a "
        "backup",
        options_.place.keyspace, options_.place.shard, start->gap);
  }
  Result<backup::Compression> compression = backup::ParseCompression(options_.compression);
  if (!compression) co_return Fail(compression.error());
  backup::ArchiveStreamOptions options;
  options.server = options_.server;
  options.server_id = ReaderId(options_.alias);
  options.alias = options_.alias;
  options.compression = *compression;
  stream_ = std::make_unique<backup::ArchiveStream>(loop_, kept->archive, options);
  LOG_INFO("archiving from {} on", start->from.ToPosition());
  error_ = start->gap.empty() ? "" : "the archive has a gap: it lacks " + start->gap;
  Archiver* self = this;
  io::Gate* until = &gate;
  Time began = loop_.Now();
  std::function<bool()> go_on = [self, until, began] {
    return self->MayGoOn(*until) && self->loop_.Now() - began < kRunMax;
  };
  Status ran = co_await stream_->Run(start->from, std::move(go_on));
  co_return ran;
}

}  // namespace paceline::vttablet
