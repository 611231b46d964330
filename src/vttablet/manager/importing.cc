// A tablet's part in the import of a foreign server: the call by which vtctld drives it, the copy
// in the background, and what the status loop does meanwhile.
#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "paceline_agent.pb.h"
#include "topo/import_record.h"
#include "vttablet/manager/import_copy.h"
#include "vttablet/manager/import_state.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/turn.h"

namespace paceline::vttablet {

using record::TabletType;
using Step = ImportState::Step;

namespace {

constexpr Duration kWipeMax = std::chrono::minutes(10);

ImportSource SourceOf(const agent::ImportSource& message) {
  return {message.host(), static_cast<uint16_t>(message.port()), message.user(), message.password(),
          message.database()};
}

}  // namespace

std::string Manager::ImportBar() const {
  return import_->state.bar ? std::string(StepName(import_->state.step)) : std::string();
}

mysqld::SourceOptions Manager::ForeignSource() const {
  mysqld::SourceOptions options;
  options.host = import_->state.source.host;
  options.port = import_->state.source.port;
  options.user = import_->state.source.user;
  options.password = import_->state.source.password;
  options.heartbeat = options_.replication.heartbeat;
  return options;
}

io::Task<Status> Manager::SaveImport() {
  Status saved = co_await import_->file.Save(import_->state);
  co_return saved;
}

io::Task<Status> Manager::ReachForeign(Deadline deadline) {
  if (import_->foreign != nullptr) co_return Status();
  ImportSource source = import_->state.source;
  auto opened =
      co_await ForeignServer::Open(std::move(source), Deadline::In(10s).EarlierOf(deadline));
  if (!opened) co_return Fail(opened.error());
  import_->foreign = std::move(*opened);
  co_return Status();
}

io::Task<Status> Manager::Import(const agent::ImportRequest& request,
                                 agent::ImportResponse& response, Deadline deadline) {
  if (replication_ == nullptr)
    co_return Fail(Code::kUnavailable, "{} has not reached its mysqld yet",
                   tablet_.alias.ToString());
  using Request = agent::ImportRequest;
  const std::string& id = import_->state.id;
  const bool names_one = request.verb() != Request::SHOW && request.verb() != Request::CHECK;
  if (names_one && !id.empty() && id != request.id()) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} takes part in another import ({}): Import cancel of its shard first",
                   tablet_.alias.ToString(), import_->state.source.ToString());
  }
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the tablet is stopping");
  Status done;
  switch (request.verb()) {
    case Request::CHECK:
      done = co_await CheckImport(request, response, deadline);
      co_return done;
    case Request::BAR:
    case Request::UNBAR:
      done = co_await BarImport(request, deadline);
      break;
    case Request::START:
      done = co_await StartImport(request, deadline);
      break;
    case Request::ARM:
      done = co_await ArmImport(request, response, deadline);
      break;
    case Request::DISARM:
      import_->armed_until = {};
      break;
    case Request::FOLLOW:
      done = co_await ReverseImport(request, deadline);
      break;
    case Request::RETURN:
      done = co_await ReturnImport(request, deadline);
      break;
    case Request::COMPLETE:
      done = co_await CompleteImport(request.force(), deadline);
      break;
    case Request::CANCEL:
      done = co_await CancelImport(request, deadline);
      break;
    default:
      break;
  }
  if (!done) co_return Fail(done.error());
  done = co_await ShowImport(response, deadline);
  co_return done;
}

io::Task<Status> Manager::CheckImport(const agent::ImportRequest& request,
                                      agent::ImportResponse& response, Deadline deadline) {
  if (seeding_) {
    co_return Fail(Code::kUnavailable, "{} takes a seed: wait until it has it",
                   tablet_.alias.ToString());
  }
  std::string sql =
      "SELECT table_schema, COUNT(*) FROM information_schema.tables WHERE "
      "table_schema <> " +
      QuoteText(options_.sidecar) + " AND table_schema NOT IN ";
  sql += kSystemSchemas;
  sql += " GROUP BY table_schema ORDER BY table_schema";
  Result<mysql::QueryResult> own = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!own) co_return Fail(own.error().Context("looking into the tablet's own data"));
  for (size_t i = 0; i < own->rows.size(); ++i) {
    response.add_problems(fmt::format(
        "{} holds data of its own ({} tables in {}), which an import replaces: drop them first, or "
        "import into another keyspace",
        tablet_.alias.ToString(), own->Text(i, size_t{1}), own->Text(i, size_t{0})));
  }
  sql = "SELECT @@global.server_id, @@global.lower_case_table_names";
  Result<mysql::QueryResult> server = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!server) co_return Fail(server.error());
  ImportWish wish;
  wish.version = replication_->version();
  wish.server_id = static_cast<uint32_t>(ParseUint(server->Text(0, size_t{0})).value_or(0));
  wish.lower_case_table_names = static_cast<int>(ParseInt(server->Text(0, size_t{1})).value_or(0));
  wish.database = tablet_.DbName();
  wish.asked_database = request.source().database();
  wish.sidecar = options_.sidecar;
  response.set_server_id(wish.server_id);
  if (request.source().host().empty()) co_return Status();
  ImportSource source = SourceOf(request.source());
  const std::string name = "the source " + source.ToString() + ": ";
  auto foreign =
      co_await ForeignServer::Open(std::move(source), Deadline::In(10s).EarlierOf(deadline));
  if (!foreign) co_return Fail(foreign.error());
  Result<SourceFacts> facts = co_await (*foreign)->Facts(deadline);
  if (!facts) co_return Fail(facts.error());
  for (const std::string& why : WhyNotImport(*facts, wish)) response.add_problems(name + why);
  for (const std::string& warning : ImportWarnings(*facts)) response.add_warnings(name + warning);
  response.set_source_version(facts->version.ToString());
  response.set_source_server_id(facts->server_id);
  co_return Status();
}

io::Task<Status> Manager::BarImport(const agent::ImportRequest& request, Deadline deadline) {
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  ImportState& state = import_->state;
  if (request.verb() == agent::ImportRequest::BAR) {
    state.id = request.id();
    state.bar = true;
    state.importer = {request.importer().cell(), request.importer().uid()};
    // By a switch that failed: whoever it was fenced from does not lead.
    if (state_.fenced && state.step == Step::kNone) {
      state_.fenced = false;
      Status unfenced = co_await Save();
      if (!unfenced) co_return unfenced;
    }
  } else {
    state.bar = false;
    if (state.step == Step::kNone) state = ImportState();
    if (state.step == Step::kReturning) state.step = Step::kSwitched;
  }
  Status saved = co_await SaveImport();
  co_return saved;
}

io::Task<Status> Manager::StartImport(const agent::ImportRequest& request, Deadline deadline) {
  ImportState& state = import_->state;
  if (state.step == Step::kReplicating || state.step == Step::kCopying) co_return Status();
  if (seeding_) co_return Fail(Code::kUnavailable, "{} takes a seed", tablet_.alias.ToString());
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  if (is_primary() && !state_.demoted) {
    co_return Fail(Code::kFailedPrecondition, "{} leads its shard: it must be demoted first",
                   tablet_.alias.ToString());
  }
  state.id = request.id();
  state.bar = true;
  state.importer = tablet_.alias;
  state.source = SourceOf(request.source());
  state.step = Step::kCopying;
  import_->error.clear();
  import_->canceled = false;
  import_->foreign.reset();
  Status saved = co_await SaveImport();
  if (!saved) co_return saved;
  CopySoon();
  co_return Status();
}

void Manager::CopySoon() {
  if (import_->copying) return;
  import_->copying = true;
  io::Detach(CopyLoop(*this));
}

io::Task<void> Manager::CopyLoop(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  Importing& import = *self.import_;
  auto goes_on = [&] {
    return !self.gate_.closed() && !import.canceled && import.state.step == Step::kCopying;
  };
  for (Duration pause = 2s; pass && goes_on(); pause = std::min<Duration>(60s, 2 * pause)) {
    Status copied = co_await self.CopyForeign();
    if (copied) break;
    import.error = copied.error().ToString();
    LOG_WARNING("import: {}; again in {} s", import.error, pause / 1s);
    import.progress = fmt::format("failed, begins anew in {} s", pause / 1s);
    Deadline next = Deadline::In(pause);
    while (goes_on() && !next.Passed(self.loop_.Now())) {
      bool open = co_await io::Sleep(self.gate_, Deadline::In(100ms));
      (void)open;
    }
  }
  import.copying = false;
  import.copy_ended.Pulse();
}

// Nobody's primary and nobody's replica, closed for writes, as long as the role mutex is held.
io::Task<Status> Manager::LeaveRoles(Deadline deadline) {
  Status closed = co_await replication_->SetReadOnly(true, deadline);
  if (!closed) co_return closed;
  Status forgotten = co_await replication_->ForgetSource(deadline);
  if (!forgotten) co_return forgotten;
  Status semi_sync = co_await replication_->SetSemiSyncSource(false, 1, deadline);
  if (semi_sync) semi_sync = co_await replication_->SetSemiSyncReplica(false, false, deadline);
  if (!semi_sync) co_return semi_sync;
  Status quiet = co_await replication_->StopEvents(deadline);
  if (!quiet) co_return quiet;
  const bool led = is_primary() || state_.primary_term != 0;
  if (led && needs_.agent != nullptr) {
    Status role = co_await needs_.agent->SetRole(false, Deadline::In(5s).EarlierOf(deadline));
    if (!role) co_return Fail(role.error().Context("telling mysqlctld the role"));
  }
  acknowledgements_ = state_.acknowledgements = 0;
  state_.primary_term = 0;
  state_.demoted = state_.fenced = state_.replication_stopped = state_.acknowledges = false;
  state_.leader.clear();
  state_.leader_host.clear();
  state_.leader_port = 0;
  state_.leader_term_start_ns = 0;
  state_.restored.clear();
  Status saved = co_await Save();
  if (!saved) co_return saved;
  tablet_.type =
      options_.tablet.type == TabletType::kPrimary ? TabletType::kReplica : options_.tablet.type;
  tablet_.primary_term_start = {};
  shard_.primary_alias = {};
  role_known_ = false;
  lag_.reset();
  ShowServing();
  PublishTypeSoon();
  co_return Status();
}

// All databases but the server's own, the accounts that a copy made, and the history.
io::Task<Status> Manager::WipeData(std::vector<std::string> accounts, Deadline deadline) {
  auto opened = co_await mysql::Connection::Connect(options_.dba_login, deadline);
  if (!opened) co_return Fail(opened.error());
  mysql::Connection& session = **opened;
  std::vector<std::string> statements;
  // Administrators may write then, and nobody else.
  if (!replication_->version().mariadb())
    statements.emplace_back("SET GLOBAL super_read_only = OFF");
  statements.emplace_back("SET SESSION sql_log_bin = 0, foreign_key_checks = 0");
  std::string sql = "SELECT schema_name FROM information_schema.schemata WHERE schema_name NOT IN ";
  sql += kSystemSchemas;
  Result<mysql::QueryResult> databases = co_await session.Query(std::move(sql), deadline);
  if (!databases) co_return Fail(databases.error());
  for (size_t i = 0; i < databases->rows.size(); ++i)
    statements.push_back("DROP DATABASE " + QuoteIdentifier(databases->Text(i, size_t{0})));
  for (const std::string& account : accounts)
    statements.push_back("DROP USER IF EXISTS " + account);
  for (std::string& statement : statements) {
    Result<mysql::QueryResult> ran = co_await session.Query(std::move(statement), deadline);
    if (!ran) co_return Fail(ran.error().Context("emptying the tablet's mysqld"));
  }
  gtid::Set nothing(replication_->flavor().gtid_flavor());
  Status reset = co_await replication_->ResetHistory(std::move(nothing), deadline);
  needs_.query->DropConnections("its data was removed");
  co_return reset;
}

io::Task<Status> Manager::CopyForeign() {
  Importing& import = *import_;
  import.progress = "emptying the tablet's mysqld";
  Status locked = co_await action_.Lock(Deadline::In(60s));
  if (!locked) co_return locked;
  Status ready = co_await LeaveRoles(Deadline::In(60s));
  if (ready) ready = co_await WipeData(import.state.accounts, Deadline::In(kWipeMax));
  action_.Unlock();
  if (!ready) co_return ready;

  ImportCopy::Options options;
  options.source = import.state.source.Login();
  options.target = options_.dba_login;
  options.flavor = replication_->flavor().gtid_flavor();
  options.position_query = replication_->flavor().PositionQuery();
  options.canceled = [this] { return import_->canceled || gate_.closed(); };
  options.told = [this](std::string text) { import_->progress = std::move(text); };
  ImportCopy copy(std::move(options));
  Result<gtid::Set> copied = co_await copy.Run();
  // Also where it failed midway: they are to be dropped.
  std::vector<std::string> accounts = copy.accounts();
  for (const std::string& account : accounts) {
    if (std::ranges::find(import.state.accounts, account) == import.state.accounts.end())
      import.state.accounts.push_back(account);
  }
  if (!copied) {
    Status noted = co_await SaveImport();
    co_return noted ? Status(Fail(copied.error())) : noted;
  }
  locked = co_await action_.Lock(Deadline::In(60s));
  if (!locked) co_return locked;
  Status begun = co_await BeginReplicating(*copied, Deadline::In(60s));
  action_.Unlock();
  co_return begun;
}

io::Task<Status> Manager::BeginReplicating(gtid::Set position, Deadline deadline) {
  Importing& import = *import_;
  if (import.canceled) co_return Fail(Code::kCanceled, "the import was canceled");
  LOG_INFO("import: copied {} as it was at {}", import.state.source.ToString(),
           position.ToString());
  Status reset = co_await replication_->ResetHistory(std::move(position), deadline);
  if (!reset) co_return reset;
  Status closed = co_await replication_->SetReadOnly(true, deadline);
  if (!closed) co_return closed;
  mysqld::SourceOptions foreign = ForeignSource();
  Status set = co_await replication_->SetSource(std::move(foreign), deadline);
  if (!set) co_return set;
  import.state.step = Step::kReplicating;
  import.error.clear();
  import.progress.clear();
  Status saved = co_await SaveImport();
  if (!saved) {
    import.state.step = Step::kCopying;
    co_return saved;
  }
  needs_.query->DropConnections("its data was replaced");
  Status started = co_await replication_->Start(deadline);
  if (!started) LOG_WARNING("import: {}", started.error().ToString());  // the status loop goes on
  role_known_ = true;
  co_return Status();
}

// Under action_. True: this tablet's role follows from the import.
io::Task<bool> Manager::LookAtImport() {
  Importing& import = *import_;
  const bool may_be = !import.state.id.empty() || shard_.primary_alias.empty();
  if (!may_be || is_snapshot() || import.state.step == Step::kSwitched) co_return false;
  if (import.state.step == Step::kCopying) {
    CopySoon();
    co_return true;
  }
  if (import.state.step == Step::kReturning) co_return true;  // until `back` or `switch` goes on
  if (import.state.step == Step::kReplicating) {
    bool goes_on = co_await LookAtForeign();
    co_return goes_on;
  }
  bool follows = co_await FollowImporter();
  co_return follows;
}

io::Task<bool> Manager::LookAtForeign() {
  Importing& import = *import_;
  if (state_.primary_term != 0) {
    // It was promoted, and crashed before it could note that the switch is over.
    import.state.step = Step::kSwitched;
    import.state.bar = false;
    Status saved = co_await SaveImport();
    if (!saved) LOG_WARNING("{}", saved.error().ToString());
    co_return false;
  }
  if (import.state.frozen) co_await ThawForeign();
  Result<std::optional<mysqld::ReplicationStatus>> now =
      co_await replication_->Replica(Deadline::In(3s));
  std::string error;
  std::optional<Duration> lag;
  if (!now) {
    error = now.error().ToString();
  } else {
    Status going;
    if (!role_known_) going = co_await replication_->SetReadOnly(true, Deadline::In(3s));
    mysqld::SourceOptions foreign = ForeignSource();
    if (going && !*now)
      going = co_await replication_->SetSource(std::move(foreign), Deadline::In(5s));
    bool stopped = !*now || (**now).io == mysqld::ThreadState::kStopped ||
                   (**now).applier == mysqld::ThreadState::kStopped;
    if (going && stopped) going = co_await replication_->Start(Deadline::In(5s));
    if (!going) error = going.error().ToString();
    if (going) role_known_ = true;
    if (*now) lag = (**now).lag;
    if (*now && !(**now).io_error.empty()) error = (**now).io_error;
    if (*now && !(**now).applier_error.empty()) error = (**now).applier_error;
  }
  lag_ = lag;
  health_error_ = error.empty() ? "" : "import: " + error;
  ShowServing();
  co_return true;
}

io::Task<void> Manager::ThawForeign() {
  Importing& import = *import_;
  Status open = co_await ReachForeign(Deadline::In(3s));
  if (open) open = co_await import.foreign->Thaw(import.state.events, Deadline::In(5s));
  if (open) {
    import.state.frozen = false;
    open = co_await SaveImport();
  }
  if (!open) LOG_ERROR("import: {}", open.error().ToString());
}

// Of a shard that is imported, not the tablet that reads from the source: it follows that one.
io::Task<bool> Manager::FollowImporter() {
  ImportState& state = import_->state;
  record::KeyspaceShard shard{tablet_.keyspace, tablet_.shard};
  auto record = co_await topo::ReadImport(*needs_.topo, shard, Deadline::In(1s));
  if (!record) co_return state.bar && !is_primary();
  if (!*record || !(**record).Bars()) {
    if (state.id.empty()) co_return false;
    state = ImportState();
    role_known_ = false;
    Status saved = co_await SaveImport();
    if (!saved) LOG_WARNING("{}", saved.error().ToString());
    co_return false;
  }
  const topo::ImportRecord& import = **record;
  if (!state.bar || state.id != import.id || state.importer != import.tablet) {
    state.id = import.id;
    state.bar = true;
    state.importer = import.tablet;
    Status saved = co_await SaveImport();
    if (!saved) LOG_WARNING("{}", saved.error().ToString());
  }
  if (is_primary()) co_return false;
  bool waits = import.tablet == tablet_.alias ||
               import.phase == topo::ImportRecord::Phase::kCanceling || state_.fenced ||
               !needs_seed_.empty() || !needs_.call_tablet;
  if (waits) co_return true;
  Status followed = co_await FollowTablet(import.tablet, Deadline::In(5s));
  health_error_ = followed ? "" : "import: " + followed.error().ToString();
  role_known_ = true;
  ShowServing();
  co_return true;
}

io::Task<Status> Manager::FollowTablet(record::TabletAlias importer, Deadline deadline) {
  auto recorded = co_await needs_.topo->GetTablet(importer, deadline);
  if (!recorded) co_return Fail(recorded.error());
  Result<gtid::Set> own = co_await replication_->Position(deadline);
  if (!own) co_return Fail(own.error());
  Result<std::optional<mysqld::ReplicationStatus>> now = co_await replication_->Replica(deadline);
  if (!now) co_return Fail(now.error());
  std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(recorded->value);
  if (manager == nullptr) co_return Fail(Code::kUnavailable, "no way to {}", importer.ToString());
  agent::TabletStateRequest request;
  agent::TabletStateResponse told;
  Status answered = co_await manager->TabletState(request, told, Deadline::In(2s));
  if (!answered) co_return answered;
  lag_.reset();
  const bool there = told.importing() == StepName(Step::kReplicating) ||
                     told.importing() == StepName(Step::kReturning);
  if (!there) {
    // It may have been promoted a moment ago, or not begun yet.
    if (told.importing() != StepName(Step::kCopying)) co_return Status();
    if (*now) {
      Status forgotten = co_await replication_->ForgetSource(deadline);
      if (!forgotten) co_return forgotten;
    }
    shard_.primary_alias = {};
    Status closed = co_await replication_->SetReadOnly(true, deadline);
    co_return closed;
  }
  Result<gtid::Set> theirs = gtid::Set::ParseEncoded(told.executed_position());
  if (!theirs) co_return Fail(theirs.error());
  // Its mysqld answered too late to tell: nothing follows from that.
  if (!told.mysqld_running() || told.mysqld_silent_ms() > 0 || theirs->Empty())
    co_return Fail(Code::kUnavailable, "the mysqld of {} is slow to answer", importer.ToString());
  if (own->Empty() || !theirs->Contains(*own)) {
    NeedSeed("it has nothing of the import yet", false);
    co_return Fail(Code::kUnavailable, "it has nothing of the import yet");
  }
  const bool same = *now && (**now).source_host == recorded->value.mysql_hostname &&
                    (**now).source_port == recorded->value.mysql_port;
  if (!same) {
    Status replica = co_await BecomeReplicaOf(importer, true, false, deadline);
    co_return replica;
  }
  lag_ = (**now).lag;
  if (!(**now).io_error.empty()) co_return Fail(Code::kUnavailable, "{}", (**now).io_error);
  if (!(**now).applier_error.empty())
    co_return Fail(Code::kFailedPrecondition, "{}", (**now).applier_error);
  if ((**now).running()) co_return Status();
  bool stopped = (**now).io == mysqld::ThreadState::kStopped ||
                 (**now).applier == mysqld::ThreadState::kStopped;
  Status started;
  if (stopped) started = co_await replication_->Start(deadline);
  co_return started;
}

io::Task<Status> Manager::ShowImport(agent::ImportResponse& response, Deadline deadline) {
  Importing& import = *import_;
  const ImportState& state = import.state;
  response.set_id(state.id);
  response.set_lag_ms(-1);
  response.set_reverse_lag_ms(-1);
  if (state.id.empty()) co_return Status();
  response.set_step(std::string(StepName(state.step)));
  response.set_progress(import.progress);
  response.set_error(import.error);
  if (state.step == Step::kNone) {
    response.set_error(needs_seed_.empty() ? health_error_ : "");
    response.set_progress(seed_progress_.empty() ? needs_seed_ : "is seeded " + seed_progress_);
    if (lag_) response.set_lag_ms(*lag_ / 1ms);
    co_return Status();
  }
  response.set_source(state.source.ToString());
  response.set_write_stop_ms(state.write_stop_ms);
  for (const std::string& account : state.accounts) response.add_accounts(account);
  Result<gtid::Set> own = co_await replication_->Position(deadline);
  if (own) response.set_position(own->ToEncoded());
  if (state.step == Step::kReplicating) {
    if (lag_) response.set_lag_ms(*lag_ / 1ms);
    response.set_error(health_error_);
  }
  Status seen = co_await ShowForeign(response, Deadline::In(5s).EarlierOf(deadline));
  if (!seen) {
    response.set_source_error(seen.error().ToString());
    import.foreign.reset();  // its sessions may be broken
  }
  co_return Status();
}

io::Task<Status> Manager::ShowForeign(agent::ImportResponse& response, Deadline deadline) {
  Status reached = co_await ReachForeign(deadline);
  if (!reached) co_return reached;
  std::shared_ptr<ForeignServer> foreign = import_->foreign;
  response.set_source_version(foreign->replication().version().ToString());
  Result<gtid::Set> position = co_await foreign->replication().Position(deadline);
  if (!position) co_return Fail(position.error());
  response.set_source_position(position->ToEncoded());
  Result<mysqld::ReadOnly> read_only = co_await foreign->replication().GetReadOnly(deadline);
  if (!read_only) co_return Fail(read_only.error());
  response.set_source_read_only(read_only->read_only);
  Result<std::optional<mysqld::ReplicationStatus>> reverse =
      co_await foreign->replication().Replica(deadline);
  if (!reverse) co_return Fail(reverse.error());
  if (!*reverse) co_return Status();
  const mysqld::ReplicationStatus& now = **reverse;
  response.set_reverse_source(fmt::format("{}:{}", now.source_host, now.source_port));
  response.set_reverse_error(now.io_error.empty() ? now.applier_error : now.io_error);
  response.set_reverse_running(now.running());
  if (now.lag) response.set_reverse_lag_ms(*now.lag / 1ms);
  co_return Status();
}

}  // namespace paceline::vttablet
