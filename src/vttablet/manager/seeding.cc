// A tablet whose data is empty, lost or of no use takes another one's: from whom, how far, and back
// into the shard.
#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "paceline_agent.pb.h"
#include "vttablet/manager/import_state.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/seed_choice.h"

namespace paceline::vttablet {

using record::TabletType;

namespace {

constexpr Duration kRecordEvery = 1s;
// A donor that is silent for so many looks, a second apart, is given up.
constexpr int kSilentLooksMax = 4;

}  // namespace

// Looks after the donor while its data is copied; the copy itself may notice its death late.
struct Manager::DonorWatch {
  record::Tablet donor;
  bool over = false;
  bool lost = false;
  io::Event ended;
};

void Manager::NeedSeed(std::string why, bool keep_logs) {
  if (!needs_seed_.empty() || needs_.agent == nullptr) return;
  needs_seed_ = std::move(why);
  LOG_WARNING("{} needs a new seed: {}", tablet_.alias.ToString(), needs_seed_);
  state_.keep_old_logs = state_.keep_old_logs || keep_logs;
  ShowServing();
  if (seeding_) return;
  seeding_ = true;
  io::Detach(SeedLoop(*this));
}

io::Task<void> Manager::SeedLoop(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  bool begun = false;
  std::vector<record::TabletAlias> failed;
  while (pass && !self.gate_.closed()) {
    if (!begun && self.replication_ != nullptr) {
      Status ready = co_await self.BeginSeeding(Deadline::In(30s));
      begun = ready.has_value();
      if (!ready) LOG_WARNING("before seeding: {}", ready.error().ToString());
    }
    SeedChoice choice;
    if (begun && self.is_snapshot()) co_await self.PlanSnapshot();
    if (begun && !self.restore_.empty()) {
      std::string name = self.restore_;
      Status restored = co_await self.SeedFromBackup(name);
      if (restored && self.restore_point_) restored = co_await self.ReplayToPoint();
      if (restored) restored = co_await self.EndSeeding(Deadline::In(60s));
      if (restored) break;
      self.seed_error_ = restored.error().ToString();
      LOG_WARNING("restoring {}: {}", name, self.seed_error_);
      self.restore_.clear();
      self.restore_point_.reset();
      if (self.is_snapshot()) {
        self.TellSeeding("restoring, tried again: " + self.seed_error_);
      } else {
        // Asked for by a person, who hears why: it is not tried again, and goes on as a replica.
        Status as_before = co_await self.EndSeeding(Deadline::In(60s));
        if (as_before) break;
        self.needs_seed_ = as_before.error().ToString();
      }
    } else if (begun && !self.is_snapshot()) {
      Result<std::vector<DonorSight>> sights = co_await self.SeeDonors(Deadline::In(5s));
      if (sights) {
        choice = ChooseSource(*sights, self.replication_->version(), failed);
      } else {
        choice.refused = sights.error().ToString();
      }
      if (choice.sources.empty())
        self.TellSeeding(
            fmt::format("{}; nobody to be seeded from: {}", self.needs_seed_, choice.refused));
    }
    bool last_resort = begun && choice.exhausted && choice.leader_has;
    if (last_resort && !self.options_.backups.storage.empty()) {
      Status restored = co_await self.SeedFromNewestBackup(std::move(*choice.leader_has));
      if (restored) restored = co_await self.EndSeeding(Deadline::In(60s));
      if (restored) break;
      LOG_WARNING("seeding from a backup: {}", restored.error().ToString());
    }
    if (choice.exhausted) failed.clear();
    if (!choice.sources.empty()) {
      SeedSource source = choice.sources.front();
      record::TabletAlias donor = source.tablet.alias;
      Status seeded = co_await self.SeedFrom(std::move(source));
      if (seeded) seeded = co_await self.EndSeeding(Deadline::In(60s));
      if (seeded) break;
      LOG_WARNING("seeding from {}: {}", donor.ToString(), seeded.error().ToString());
      failed.push_back(donor);
    }
    Duration pause = self.is_snapshot() ? 2s : 500ms;
    bool open = co_await io::Sleep(self.gate_, Deadline::In(pause));
    if (!open) break;
  }
  self.restore_.clear();
  self.restore_point_.reset();
  self.seeding_ = false;
}

// From here on nobody may count on this tablet.
io::Task<Status> Manager::BeginSeeding(Deadline deadline) {
  Status locked = co_await action_.Lock(deadline);
  if (!locked) co_return locked;
  role_known_ = false;
  tablet_.type = TabletType::kRestore;
  tablet_.primary_term_start = {};
  state_.primary_term = 0;
  state_.demoted = false;
  state_.old_data_aside = true;
  state_.base_keyspace = options_.base_keyspace;
  // A restore is a person's wish, and the data it would replace is good.
  if (restore_.empty()) state_.needs_seed = needs_seed_;
  ShowServing();
  Status done = co_await Save();
  if (done) done = co_await PublishType(Deadline::In(5s).EarlierOf(deadline));
  action_.Unlock();
  if (done) TellSeeding("looking for a donor");
  co_return done;
}

io::Task<Result<std::vector<DonorSight>>> Manager::SeeDonors(Deadline deadline) {
  auto shard = co_await needs_.topo->GetShard(tablet_.keyspace, tablet_.shard, deadline);
  if (shard) shard_ = shard->value;
  auto listed = co_await needs_.topo->ListTabletsOfShard(tablet_.keyspace, tablet_.shard, deadline);
  if (!listed) co_return Fail(listed.error());
  std::vector<DonorSight> sights;
  for (const auto& stored : listed->tablets) {
    if (stored.value.alias == tablet_.alias || !needs_.call_tablet) continue;
    DonorSight sight;
    sight.tablet = stored.value;
    std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(stored.value);
    agent::TabletStateRequest request;
    request.set_seed_facts(true);
    agent::TabletStateResponse state;
    Status answered = Fail(Code::kUnavailable, "no channel");
    if (manager != nullptr)
      answered =
          co_await manager->TabletState(request, state, Deadline::In(2s).EarlierOf(deadline));
    if (answered) {
      sight.mysqld_running = state.mysqld_running();
      sight.seeding = !state.seeding().empty();
      sight.leads = stored.value.alias == shard_.primary_alias &&
                    state.tablet().type() == topodata::PRIMARY && !state.read_only() &&
                    state.mysqld_running();
      // Nobody leads a shard that is imported; all follow the one that reads from the source.
      sight.leads |= state.importing() == "replicating" && state.mysqld_running() &&
                     !sight.seeding && stored.value.alias == import_->state.importer;
      sight.replicates = state.io_running() && state.sql_running();
      if (state.replication_lag_ms() >= 0)
        sight.lag = std::chrono::milliseconds(state.replication_lag_ms());
      Result<gtid::Set> executed = gtid::Set::ParseEncoded(state.executed_position());
      if (executed) sight.executed = std::move(*executed);
      sight.server_version = state.seed_facts().server_version();
      sight.data_bytes = state.seed_facts().data_bytes();
    }
    sights.push_back(std::move(sight));
  }
  // Asked last, so that it has what the others had.
  std::ranges::stable_partition(sights, [](const DonorSight& sight) { return !sight.leads; });
  if (!sights.empty() && sights.back().leads && needs_.call_tablet) {
    std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(sights.back().tablet);
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered = co_await manager->TabletState(request, state, deadline);
    if (!answered) co_return Fail(answered.error());
    Result<gtid::Set> executed = gtid::Set::ParseEncoded(state.executed_position());
    if (executed) sights.back().executed = std::move(*executed);
  }
  co_return sights;
}

io::Task<void> Manager::WatchDonor(Manager& self, std::shared_ptr<DonorWatch> watch) {
  int silent = 0;
  std::shared_ptr<port::TabletManager> manager = self.needs_.call_tablet(watch->donor);
  while (!watch->over && !self.gate_.closed() && manager != nullptr) {
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered = co_await manager->TabletState(request, state, Deadline::In(2s));
    silent = answered && state.mysqld_running() ? 0 : silent + 1;
    if (silent >= kSilentLooksMax) watch->lost = true;
    bool open = co_await io::Sleep(self.gate_, Deadline::In(250ms));
    for (int turn = 0; turn < 3 && open && !watch->over; ++turn)
      open = co_await io::Sleep(self.gate_, Deadline::In(250ms));
  }
  watch->ended.Set();
}

io::Task<Status> Manager::SeedFrom(SeedSource source) {
  struct Told final : port::SeedSink {
    bool OnProgress(const port::SeedProgress& progress) override {
      uint64_t total = progress.phase == "copying" ? data_bytes : 0;
      port::TransferProgress seen =
          meter.Observe(progress.phase, progress.bytes, total, self->loop_.Now());
      std::string text =
          fmt::format("from {}: {}", watch->donor.alias.ToString(), port::ToText(seen));
      self->TellSeeding(std::move(text), std::move(seen));
      return !watch->lost && !self->gate_.closed();
    }
    Manager* self = nullptr;
    DonorWatch* watch = nullptr;
    uint64_t data_bytes = 0;
    port::ProgressMeter meter;
  } told;
  auto watch = std::make_shared<DonorWatch>();
  watch->donor = source.tablet;
  told.self = this;
  told.watch = watch.get();
  told.data_bytes = source.data_bytes;
  port::SeedOrder order;
  order.way = source.way;
  order.host = source.tablet.mysql_hostname;
  order.port = static_cast<uint16_t>(source.tablet.mysql_port);
  order.user = options_.replication.user;
  order.password = options_.replication.password;
  order.tablet_address = source.tablet.GrpcAddress();
  LOG_INFO("seeding from {} ({} MB)", source.tablet.alias.ToString(), source.data_bytes >> 20);
  io::Detach(WatchDonor(*this, watch));
  Result<std::string> position =
      co_await needs_.agent->Seed(std::move(order), told, Deadline::In(std::chrono::hours(24)));
  watch->over = true;
  bool ended = co_await watch->ended.Wait(Deadline::In(10s));
  (void)ended;
  if (!position && watch->lost)
    co_return Fail(Code::kUnavailable, "the donor went away: {}", position.error().message());
  if (!position) co_return Fail(position.error());
  LOG_INFO("seeded from {}, up to {}", source.tablet.alias.ToString(), *position);
  co_return Status();
}

// Back to what it was before; the status loop makes it a replica again.
io::Task<Status> Manager::EndSeeding(Deadline deadline) {
  std::string ask = "SELECT @@port";
  Result<mysql::QueryResult> port = co_await needs_.dba->Query(ask, deadline);
  if (!port) co_return Fail(port.error());
  if (tablet_.mysql_port == 0)
    tablet_.mysql_port = static_cast<int32_t>(ParseInt(port->Text(0, size_t{0})).value_or(0));
  Status locked = co_await action_.Lock(deadline);
  if (!locked) co_return locked;
  state_.needs_seed.clear();
  // What was taken back to a point in time stays there until a person says otherwise.
  bool stays = restore_point_ && !is_snapshot();
  state_.replication_stopped = stays;
  state_.restored = restore_point_ ? "backup " + restore_ + replayed_ : "";
  Status saved = co_await Save();
  if (!saved) {
    action_.Unlock();
    co_return saved;
  }
  needs_seed_.clear();
  tablet_.type = stays ? TabletType::kDrained : options_.tablet.type;
  mysqld_running_ = true;
  role_known_ = false;
  registered_ = false;  // its record is written anew, with whatever changed
  needs_.query->DropConnections("the tablet was seeded anew");
  // There is no primary that it would catch up with first; what it had was empty.
  if (is_snapshot()) co_await ForgetOldData();
  // Known as an acker before it acknowledges.
  Status published = co_await PublishType(Deadline::In(5s).EarlierOf(deadline));
  if (!published) LOG_WARNING("{}", published.error().ToString());
  action_.Unlock();
  TellSeeding("");
  co_return Status();
}

std::string Manager::SeedText() const {
  if (!seed_progress_.empty()) return seed_progress_;
  return needs_seed_.empty() ? "a seed takes its place" : needs_seed_;
}

void Manager::TellSeeding(std::string progress, std::optional<port::TransferProgress> transfer) {
  if (progress == seed_progress_) return;
  seed_progress_ = std::move(progress);
  seed_transfer_ = std::move(transfer);
  ShowServing();
  if (telling_seed_) return;
  telling_seed_ = true;
  io::Detach(RecordSeeding(*this));
}

// The record's tag "seed" follows seed_progress_, at most once a second.
io::Task<void> Manager::RecordSeeding(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  std::string told = "?";
  while (pass && told != self.seed_progress_) {
    told = self.seed_progress_;
    topo::Server::TabletFn update = [told](record::Tablet& stored) -> Result<bool> {
      if (told.empty()) return stored.tags.erase(kSeedTag) > 0;
      bool differs = stored.tags[kSeedTag] != told;
      stored.tags[kSeedTag] = told;
      return differs;
    };
    record::TabletAlias alias = self.tablet_.alias;
    auto updated =
        co_await self.needs_.topo->UpdateTabletFields(alias, std::move(update), Deadline::In(3s));
    if (!updated) LOG_WARNING("recording the seed: {}", updated.error().ToString());
    bool open = co_await io::Sleep(self.gate_, Deadline::In(kRecordEvery));
    if (!open) break;
  }
  self.telling_seed_ = false;
}

io::Task<Result<std::string>> Manager::WhyNotFromTheBeginning(record::TabletAlias primary,
                                                              Deadline deadline) {
  Result<gtid::Set> own = co_await replication_->Position(deadline);
  if (!own) co_return Fail(own.error());
  if (!own->Empty() || !needs_.call_tablet) co_return std::string();
  auto recorded = co_await needs_.topo->GetTablet(primary, Deadline::In(3s).EarlierOf(deadline));
  if (!recorded) co_return Fail(recorded.error().Context("finding the primary"));
  std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(recorded->value);
  agent::TabletStateRequest request;
  request.set_seed_facts(true);
  agent::TabletStateResponse state;
  Status answered =
      co_await manager->TabletState(request, state, Deadline::In(3s).EarlierOf(deadline));
  // Vitess's own tablets tell nothing of this.
  if (!answered && answered.error().code() == Code::kUnimplemented) co_return std::string();
  if (!answered) co_return Fail(answered.error().Context("asking the primary for its logs"));
  if (!state.has_seed_facts()) co_return std::string();
  LeaderLogs logs{state.seed_facts().logs_complete(), state.seed_facts().log_bytes()};
  co_return WhySeedEmpty(logs);
}

// Under action_, once this tablet has caught up.
io::Task<void> Manager::ForgetOldData() {
  bool keep_logs = state_.keep_old_logs;
  Status forgotten = co_await needs_.agent->ForgetOldData(keep_logs, Deadline::In(60s));
  if (!forgotten) {
    LOG_WARNING("removing the data from before the seed: {}", forgotten.error().ToString());
    co_return;
  }
  state_.old_data_aside = false;
  state_.keep_old_logs = false;
  Status saved = co_await Save();
  if (!saved) LOG_WARNING("{}", saved.error().ToString());
}

// What it has now is on its way out: nobody is to count on it.
Status Manager::FillSeeding(agent::TabletStateResponse& out) const {
  out.set_promised_term(state_.promised_term);
  out.set_fenced(state_.fenced);
  out.set_read_only(true);
  out.set_replication_lag_ms(-1);
  out.set_seeding(SeedText());
  if (replication_ != nullptr)
    out.set_flavor(std::string(gtid::FlavorName(replication_->flavor().gtid_flavor())));
  return {};
}

io::Task<Status> Manager::FillSeedFacts(agent::TabletStateResponse& out, Deadline deadline) {
  Result<mysqld::Replication::SeedFacts> facts = co_await replication_->GetSeedFacts(deadline);
  if (!facts) co_return Fail(facts.error());
  agent::SeedFacts* told = out.mutable_seed_facts();
  told->set_server_version(replication_->version().text);
  told->set_data_bytes(facts->data_bytes);
  told->set_log_bytes(facts->log_bytes);
  told->set_logs_complete(facts->logs_complete);
  co_return Status();
}

io::Task<Status> Manager::StreamData(io::ByteSink& sink, Deadline deadline) {
  if (needs_.agent == nullptr)
    co_return Fail(Code::kUnimplemented, "{} has no agent", tablet_.alias.ToString());
  if (unsettled())
    co_return Fail(Code::kUnavailable, "{} takes a seed itself", tablet_.alias.ToString());
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the tablet is stopping");
  Status streamed = co_await needs_.agent->StreamData(sink, deadline);
  co_return streamed;
}

}  // namespace paceline::vttablet
