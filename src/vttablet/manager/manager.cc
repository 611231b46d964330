#include "vttablet/manager/manager.h"

#include "base/log.h"
#include "base/strings.h"
#include "mysqlctl.pb.h"
#include "vttablet/manager/convert.h"
#include "vttablet/manager/import_state.h"
#include "vttablet/manager/rejoin.h"

namespace paceline::vttablet {

using record::TabletType;

namespace {

DiskCareOptions CareOf(const ManagerOptions& options) {
  DiskCareOptions care;
  if (!options.state_file.empty()) care.probe.file = options.state_file + ".probe";
  care.limits = options.disk;
  care.tablet = options.tablet;
  if (!options.archive || !options.base_keyspace.empty()) return care;
  care.archive = options.backups;
  care.archive.keyspace = options.tablet.keyspace;
  care.archive.shard = options.tablet.shard;
  return care;
}

}  // namespace

Manager::Manager(io::Loop& loop, ManagerOptions options, Needs needs)
    : loop_(loop),
      options_(std::move(options)),
      needs_(std::move(needs)),
      tablet_(options_.tablet),
      file_(options_.state_file),
      carried_(*needs_.topo,
               options_.topology_copy.empty() ? options_.state_file + ".topology"
                                              : options_.topology_copy,
               {options_.tablet.keyspace, options_.tablet.shard}, options_.tablet.alias.cell),
      lease_(loop, tablet_.alias,
             {needs_.call_tablet, [this](Time until) { needs_.query->SetLease(until); },
              [this] { ShowServing(); }}),
      disk_(loop, CareOf(options_),
            {needs_.topo, needs_.call_tablet,
             [this] { return mysqld_running_ && !unsettled() ? replication_.get() : nullptr; },
             [this](DiskRefusal refusal) { needs_.query->SetDiskRefusal(refusal); },
             [this] { TellHealth(); }}),
      import_(std::make_unique<Importing>(options_.state_file + ".import")) {}

Manager::~Manager() = default;

io::Task<Status> Manager::Start(Deadline deadline) {
  Result<DurableState> state = file_.Load();
  if (!state) co_return Fail(state.error());
  state_ = *state;
  Result<ImportState> import = import_->file.Load();
  if (!import) co_return Fail(import.error());
  import_->state = *std::move(import);
  promises_.Restarted(loop_.Now());
  lease_.SetMembers(state_.members);
  io::Detach(Lease::Loop(lease_, gate_));
  disk_.Start(gate_);
  Resolver::Needs resolver{needs_.dba,    needs_.agent,     needs_.query,
                           tablet_.alias, options_.sidecar, options_.app_user};
  resolver_ = std::make_unique<Resolver>(loop_, std::move(resolver));
  needs_.query->SetResolve([this](std::vector<port::AttemptQuestion> questions, Deadline until) {
    return ResolveAttempts(std::move(questions), until);
  });
  // Before anything is asked of mysqld: one that ended as primary is held until this tablet gives
  // its word.
  if (needs_.agent != nullptr) io::Detach(AgentLoop(*this));
  if (!state_.needs_seed.empty()) NeedSeed(state_.needs_seed, state_.keep_old_logs);
  // The flavor is asked of the server itself: whoever started it may have chosen another one.
  Error last(Code::kUnavailable, "mysqld has not been asked yet");
  const Deadline asked = Deadline::In(3s);  // a mysqlctld that hangs is not waited for
  while (replication_ == nullptr) {
    const bool unknown = !agent_asked_ && !asked.Passed(loop_.Now());
    if (needs_.agent != nullptr && (unknown || placing_)) {
      // A server that got its data a moment ago does not tell yet what it holds.
      if (deadline.Passed(loop_.Now())) co_return Fail(last.Context("waiting for mysqlctld"));
      bool open = co_await io::Sleep(gate_, Deadline::In(20ms));
      if (!open) co_return Fail(Code::kCanceled, "stopping");
      continue;
    }
    if (!unusable_.empty() && needs_.agent != nullptr) {
      // mysqld will not answer before it is seeded; its agent knows what it is.
      ::mysqlctl::VersionStringRequest request;
      ::mysqlctl::VersionStringResponse banner;
      Status told = co_await needs_.agent->VersionString(request, banner, Deadline::In(5s));
      Result<mysqld::ServerVersion> version = mysqld::ParseVersionBanner(banner.version());
      if (told && version) {
        replication_ = std::make_unique<mysqld::Replication>(*needs_.dba, *version);
        replication_->SetJournal(JournalAt(*needs_.agent));
        break;
      }
    }
    std::string ask = "SELECT VERSION(), @@port";
    Result<mysql::QueryResult> answer = co_await needs_.dba->Query(ask, Deadline::In(5s));
    if (answer) {
      Result<mysqld::ServerVersion> version = mysqld::ParseVersionText(answer->Text(0, size_t{0}));
      if (!version) co_return Fail(version.error());
      replication_ = std::make_unique<mysqld::Replication>(*needs_.dba, *version);
      if (needs_.agent != nullptr) replication_->SetJournal(JournalAt(*needs_.agent));
      if (options_.tablet.mysql_port == 0) {
        tablet_.mysql_port = static_cast<int32_t>(ParseInt(answer->Text(0, size_t{1})).value_or(0));
      }
    }
    // Sessions of an earlier process may still run attempts: known before any of this one are
    // there.
    Status noted = answer ? Status() : Status(Fail(answer.error()));
    if (noted) noted = co_await resolver_->NoteFormer(Deadline::In(5s));
    if (noted) break;
    replication_.reset();
    last = noted.error();
    if (deadline.Passed(loop_.Now())) co_return Fail(last.Context("waiting for mysqld"));
    bool open = co_await io::Sleep(gate_, Deadline::In(50ms));
    if (!open) co_return Fail(Code::kCanceled, "stopping");
  }
  mysqld_running_ = true;
  mysqld_answered_ = loop_.Now();
  Status registered =
      co_await Register(deadline);  // last: whoever reads the record may promote at once
  if (!registered) co_return registered;
  if (!unusable_.empty()) mysqld_running_ = false;
  if (is_snapshot() && state_.restored.empty() && needs_seed_.empty()) {
    Status begun = co_await BeginSnapshot(deadline);
    if (!begun) co_return begun;
  }
  ShowServing();
  io::Detach(StatusLoop(*this));
  io::Detach(ShardLoop(*this));
  io::Detach(topo::Carried::Follow(carried_, gate_));
  if (!is_snapshot()) StartArchiver();
  co_return Status();
}

io::Task<void> Manager::Stop(Deadline deadline) {
  serving_ = false;
  needs_.query->SetServing(tablet_.type, false, "shutting down", state_.promised_term, false);
  TellHealth();
  bool left = co_await gate_.Close(deadline);
  if (!left) LOG_WARNING("{} of the tablet's tasks did not end in time", gate_.count());
}

void Manager::StartArchiver() {
  ArchiverOptions options;
  options.on = options_.archive && !options_.backups.storage.empty() && needs_.call_tablet;
  options.place = RestorePlace();
  options.compression = options_.backup_compression;
  options.server = options_.log_reader;
  options.alias = tablet_.alias;
  std::function<ArchiverSight()> sight = [this] {
    bool able = mysqld_running_ && role_known_ && !seeding_ && needs_seed_.empty() &&
                !import_->state.bar &&  // its history may be erased again
                (is_primary() ? serving_ : lag_.has_value());
    return ArchiverSight{able, is_primary(), replication_.get()};
  };
  archiver_ = std::make_unique<Archiver>(loop_, options, *needs_.topo, needs_.call_tablet, sight);
  archiver_->Start(gate_);
}

io::Task<Status> Manager::Save() {
  Status saved = co_await file_.Save(state_);
  co_return saved;
}

// What clients may do here now follows from role, mysqld and replication; told to the query side at
// every change.
void Manager::ShowServing() {
  UpdateLease();
  why_not_.clear();
  if (!needs_seed_.empty()) {
    why_not_ = SeedText();
  } else if (!mysqld_running_) {
    why_not_ = "mysqld is not running";
  } else if (!role_known_) {
    why_not_ = "the tablet's role is not known yet";
    if (!role_error_.empty()) why_not_ = "taking up the tablet's role: " + role_error_;
  } else if (is_primary() && state_.demoted) {
    why_not_ = "demoted: a reparent is under way";
  } else if (tablet_.type == TabletType::kDrained || tablet_.type == TabletType::kBackup ||
             tablet_.type == TabletType::kRestore || tablet_.type == TabletType::kSpare) {
    why_not_ = fmt::format("tablets of type {} do not serve", record::TabletTypeName(tablet_.type));
  } else if (is_snapshot() && state_.restored.empty()) {
    why_not_ = "the snapshot has not been restored yet";
  } else if (!is_primary() && shard_.primary_alias.empty() && !is_snapshot()) {
    why_not_ = "the shard has no primary yet";
  } else if (!is_primary() && !lag_ && !health_error_.empty()) {
    why_not_ = health_error_;
  }
  // The query side watches the end of the lease by itself, and open transactions outlive a lapse.
  bool would_serve = why_not_.empty();
  if (would_serve && is_primary()) why_not_ = lease_.WhyNot();
  serving_ = why_not_.empty();
  needs_.query->SetServing(tablet_.type, would_serve, why_not_, state_.promised_term,
                           lease_.leased());
  TellHealth();
}

void Manager::TellRoleError(const Status& role) {
  std::string text = role ? "" : role.error().ToString();
  if (text == role_error_) return;
  if (!role) LOG_WARNING("taking up the role: {}", text);
  role_error_ = std::move(text);
  if (!role_known_) ShowServing();
}

void Manager::TellHealth() {
  port::TabletHealth health;
  health.alias = tablet_.alias;
  health.target = {tablet_.keyspace, tablet_.shard, tablet_.type, tablet_.alias.cell};
  health.serving = serving_;
  // A primary leads the term it was promoted in, whatever it has promised since.
  health.term = is_primary() ? state_.primary_term : state_.promised_term;
  if (is_primary()) health.primary_term_start = tablet_.primary_term_start;
  if (lag_) health.replication_lag = *lag_;
  health.error = serving_ ? health_error_ : why_not_;
  if (std::string disk = disk_.Trouble(); !disk.empty())
    health.error = disk + (health.error.empty() ? "" : "; " + health.error);
  if (is_primary() && serving_) health.position = position_;
  needs_.query->SetHealth(health);
}

io::Task<void> Manager::StatusLoop(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  for (;;) {
    co_await self.LookAtReplication();
    if (self.gate_.closed()) co_return;
    bool woken = co_await self.look_.Wait(Deadline::In(self.options_.status_interval));
    (void)woken;
    if (self.gate_.closed()) co_return;
  }
}

io::Task<void> Manager::LookAtReplication() {
  std::string ask = "SELECT 1";
  Result<mysql::QueryResult> alive = co_await needs_.dba->Query(ask, Deadline::In(3s));
  if (alive) mysqld_answered_ = loop_.Now();
  bool gone = !alive && alive.error().code() == Code::kUnavailable;
  if (gone != !mysqld_running_) {
    mysqld_running_ = !gone;
    if (gone) role_known_ = false;
    if (!gone) needs_.query->DropConnections("mysqld was restarted");
    resolver_->ForgetFormer();
    LOG_INFO("mysqld {}", gone ? "is gone: " + alive.error().message() : std::string("answers"));
    ShowServing();
  }
  if (gone || unsettled()) co_return;
  if (!action_.TryLock()) co_return;  // a reparent is under way; it will say what it did
  bool imports = false;
  if (!confirming_ && !deciding_) imports = co_await LookAtImport();
  if (!imports && !role_known_ && !confirming_ && !deciding_ && needs_seed_.empty()) {
    // Not for long: a reparent waits for its turn meanwhile.
    Status role = co_await TakeUpRole(Deadline::In(5s));
    TellRoleError(role);
  }
  if (carried_.StoreChanged()) registered_ = false;
  if (!registered_) {
    Status registered = co_await Register(Deadline::In(5s));
    if (!registered) LOG_ERROR("{}", registered.error().ToString());
  }
  if (imports) {
    action_.Unlock();
    co_return;
  }
  if (carried_.rest_pending() && registered_ && serving_ && is_primary()) co_await KeepTopology();
  co_await GiveWay();
  co_await LookAtPosition();
  if (role_known_ && is_snapshot()) {
    lag_ = Duration(0);  // of nothing: it is what it shall be
  } else if (role_known_ && !is_primary()) {
    Result<std::optional<mysqld::ReplicationStatus>> status =
        co_await replication_->Replica(Deadline::In(3s));
    std::optional<Duration> lag;
    std::string error;
    if (status && *status) {
      const mysqld::ReplicationStatus& now = **status;
      lag = now.lag;
      if (!lag && now.applier == mysqld::ThreadState::kRunning) lag = lag_.value_or(Duration(0));
      if (!now.running()) error = "replication is not running";
      if (!now.running() && !state_.restored.empty())
        error = "it was taken back in time and stays there";
      if (!now.io_error.empty()) error = now.io_error;
      if (!now.applier_error.empty()) error = now.applier_error;
      if (now.running() && now.lag && *now.lag < 5s && state_.old_data_aside)
        co_await ForgetOldData();
      // The source has thrown away what this tablet would need next, or never had what it has.
      if (now.io_errno == 1236 && now.io != mysqld::ThreadState::kRunning)
        NeedSeed("replication cannot go on: " + now.io_error, true);
      bool stopped =
          now.io == mysqld::ThreadState::kStopped || now.applier == mysqld::ThreadState::kStopped;
      // Nor from the old primary where a promotion failed on its way.
      bool may_start = !state_.fenced && !state_.replication_stopped && state_.primary_term == 0;
      if (stopped && may_start) {
        Status started = co_await replication_->Start(Deadline::In(5s));
        if (!started) error = started.error().ToString();
      } else if (may_start && now.io != mysqld::ThreadState::kRunning) {
        Status followed = co_await FollowAddress(now.source_host, now.source_port);
        if (!followed) error = followed.error().ToString();
      }
    } else {
      error = status ? "replication is not configured" : status.error().ToString();
    }
    bool changed = lag.has_value() != lag_.has_value() || error != health_error_ ||
                   (lag && lag_ && *lag / 1s != *lag_ / 1s);
    lag_ = lag;
    health_error_ = error;
    if (changed) ShowServing();
  } else if (role_known_ && is_primary() && !state_.demoted) {
    Result<uint32_t> wanted = co_await AcknowledgementsWanted(Deadline::In(3s));
    bool may_set = wanted && *wanted != acknowledgements_;
    if (may_set && state_.forced_alone) {
      auto semi_sync = co_await replication_->GetSemiSync(Deadline::In(3s));
      may_set = semi_sync && semi_sync->replicas >= *wanted;
      if (may_set) state_.forced_alone = false;
    }
    if (may_set) {
      Status set = co_await ChangeAcknowledgements(*wanted, Deadline::In(3s));
      if (set && *wanted == 0)
        LOG_WARNING(
            "no other tablet of the shard may acknowledge commits any more: they are on "
            "this machine alone");
      if (!set) LOG_WARNING("{}", set.error().ToString());
    }
    bool recorded = shard_.primary_alias == tablet_.alias;
    unpublished_looks_ = recorded ? 0 : unpublished_looks_ + 1;
    if (unpublished_looks_ * options_.status_interval > 5s) {
      Status published = co_await PublishShard(Deadline::In(3s));
      if (!published) LOG_WARNING("{}", published.error().ToString());
      unpublished_looks_ = 0;
    }
  }
  action_.Unlock();
}

io::Task<void> Manager::AgentLoop(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  for (;;) {
    // Ended in pieces, so that Stop need not wait for the agent.
    Status watched = co_await self.needs_.agent->WatchMysqld(self, Deadline::In(30s));
    if (watched.error().code() != Code::kDeadlineExceeded) self.process_runs_.reset();
    self.agent_asked_ = true;
    bool open = co_await io::Sleep(self.gate_, Deadline::In(100ms));
    if (!open) co_return;
  }
}

void Manager::OnState(const port::MysqldState& state) {
  agent_asked_ = true;
  unusable_ = state.unusable;
  placing_ = state.placing;
  held_ = state.held;
  process_runs_ = state.running;
  if (state.running) {
    look_.Pulse();  // which notices that it answers
    return;
  }
  if (mysqld_running_) {
    LOG_WARNING("mysqld died: {}", state.last_exit);
    mysqld_running_ = false;
    role_known_ = false;
    needs_.query->DropConnections("mysqld died");
    ShowServing();
  }
  if (!held_ && !unusable_.empty()) NeedSeed(unusable_, true);
  if (!held_ || deciding_ || !needs_seed_.empty()) return;
  deciding_ = true;
  io::Detach(DecideHeld(*this));
}

io::Task<void> Manager::ShardLoop(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  std::unique_ptr<topo::ShardWatch> watch;
  while (!self.gate_.closed()) {
    if (watch == nullptr) {
      auto opened = co_await self.needs_.topo->WatchShard(self.tablet_.keyspace, self.tablet_.shard,
                                                          Deadline::In(5s));
      if (!opened) {
        bool open = co_await io::Sleep(self.gate_, Deadline::In(1s));
        if (!open) co_return;
        continue;
      }
      watch = std::move(*opened);
    }
    auto next = co_await watch->Next(Deadline::In(500ms));
    if (!next) {
      if (next.error().code() == Code::kDeadlineExceeded) continue;
      watch.reset();
      continue;
    }
    if (!*next) continue;
    self.shard_ = (**next).value;
    co_await self.OnShardChanged();
  }
}

io::Task<void> Manager::OnShardChanged() {
  // Where the lock is held, the status loop comes to it.
  if (action_.TryLock()) {
    co_await GiveWay();
    action_.Unlock();
  }
  ShowServing();
}

io::Task<void> Manager::GiveWay() {
  bool mine = shard_.primary_alias == tablet_.alias;
  if (!is_primary() || mine || shard_.primary_alias.empty() || !role_known_) co_return;
  std::optional<LaterLeader> leader = co_await FindLaterLeader(Deadline::In(1s));
  if (!leader) co_return;
  LOG_WARNING("{} leads this shard now: stepping down", leader->alias.ToString());
  Status down = co_await StepDown(std::move(*leader), Deadline::In(20s));
  if (!down) LOG_ERROR("stepping down: {}", down.error().ToString());
}

}  // namespace paceline::vttablet
