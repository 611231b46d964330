#include "vtctld/import.h"

#include <algorithm>

#include "base/log.h"
#include "base/rng.h"
#include "base/strings.h"
#include "drive/reparent_driver.h"
#include "io/loop.h"
#include "io/sleep.h"
#include "paceline_agent.pb.h"
#include "port/tablet_manager.h"

namespace paceline::vtctld {
namespace {

using Request = agent::ImportRequest;
using Phase = topo::ImportRecord::Phase;
using record::TabletAlias;

constexpr Duration kCall = std::chrono::seconds(30);
constexpr Duration kWipe = std::chrono::minutes(12);

Request Of(Request::Verb verb) {
  Request request;
  request.set_verb(verb);
  return request;
}

}  // namespace

ShardImport::ShardImport(topo::Server& topo, drive::Connect connect, ImportAsked asked, Told told)
    : topo_(topo), connect_(std::move(connect)), asked_(std::move(asked)), told_(std::move(told)) {}

io::Task<Status> ShardImport::Locked(std::string action, Verb verb, Deadline deadline) {
  std::string what = "Import " + action + " " + asked_.shard.ToString();
  Result<topo::LockPtr> lock = co_await topo::LockImport(topo_, asked_.shard, std::move(what),
                                                         Deadline::In(20s).EarlierOf(deadline));
  if (!lock) co_return Fail(lock.error());
  Status done = co_await (this->*verb)(deadline);
  Status released = co_await (*lock)->Release(Deadline::In(5s));
  if (!released) LOG_WARNING("releasing the lock of an import: {}", released.error().message());
  co_return done;
}

io::Task<Status> ShardImport::Create(Deadline deadline) {
  return Locked("create", &ShardImport::CreateLocked, deadline);
}
io::Task<Status> ShardImport::Switch(Deadline deadline) {
  return Locked("switch", &ShardImport::SwitchLocked, deadline);
}
io::Task<Status> ShardImport::Back(Deadline deadline) {
  return Locked("back", &ShardImport::BackLocked, deadline);
}
io::Task<Status> ShardImport::Complete(Deadline deadline) {
  return Locked("complete", &ShardImport::CompleteLocked, deadline);
}
io::Task<Status> ShardImport::Cancel(Deadline deadline) {
  return Locked("cancel", &ShardImport::CancelLocked, deadline);
}

io::Task<Status> ShardImport::Look(bool needs_record, Deadline deadline) {
  const record::KeyspaceShard name = asked_.shard;
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) {
    co_return Fail(shard.error().Context(
        fmt::format("{} is not known (start its tablets, or CreateKeyspace and CreateShard)",
                    name.ToString())));
  }
  shard_ = shard->value;
  auto record = co_await topo::ReadImport(topo_, name, deadline);
  if (!record) co_return Fail(record.error());
  record_ = *std::move(record);
  if (needs_record && !record_) {
    co_return Fail(Code::kNotFound, "{} is not being imported: Import create begins that",
                   name.ToString());
  }
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  if (!tablets->failed_cells.empty()) {
    const auto& [cell, error] = *tablets->failed_cells.begin();
    co_return Fail(error.code(), "the tablets of {} in cell {} are not known: {}", name.ToString(),
                   cell, error.message());
  }
  members_.clear();
  for (const auto& stored : tablets->tablets) {
    std::shared_ptr<port::TabletManager> manager = connect_(stored.value);
    if (manager == nullptr) {
      co_return Fail(Code::kUnavailable, "no way to tablet {} at {}", stored.value.alias.ToString(),
                     stored.value.GrpcAddress());
    }
    members_.push_back({stored.value, std::move(manager)});
  }
  if (members_.empty() && record_) {
    co_return Status();  // to be canceled
  }
  if (members_.empty()) {
    co_return Fail(Code::kFailedPrecondition, "{} has no tablets: start one for it",
                   name.ToString());
  }
  co_return Status();
}

ShardImport::Member* ShardImport::Find(const TabletAlias& alias) {
  for (Member& member : members_) {
    if (member.tablet.alias == alias) return &member;
  }
  return nullptr;
}

io::Task<Status> ShardImport::SetPhase(Phase phase, Deadline deadline) {
  record_->phase = phase;
  Status written = co_await topo::WriteImport(topo_, asked_.shard, *record_,
                                              Deadline::In(10s).EarlierOf(deadline));
  co_return written;
}

io::Task<Status> ShardImport::Ask(Member member, Request request, agent::ImportResponse* response,
                                  Deadline deadline) {
  if (record_) request.set_id(record_->id);
  Status done = co_await member.manager->Import(request, *response, deadline);
  if (!done) co_return Fail(done.error().Context("tablet " + member.tablet.alias.ToString()));
  co_return Status();
}

io::Task<Status> ShardImport::Bar(bool on, Deadline deadline) {
  for (const Member& member : members_) {
    Request request = Of(on ? Request::BAR : Request::UNBAR);
    request.mutable_importer()->set_cell(record_->tablet.cell);
    request.mutable_importer()->set_uid(record_->tablet.uid);
    agent::ImportResponse ignored;
    Status done = co_await Ask(member, request, &ignored, Deadline::In(kCall).EarlierOf(deadline));
    if (!done) co_return done;
  }
  co_return Status();
}

io::Task<Status> ShardImport::Check(Deadline deadline) {
  std::vector<std::string> problems;
  uint32_t source_id = 0;
  std::vector<std::pair<uint32_t, std::string>> ids;
  for (const Member& member : members_) {
    Request request = Of(Request::CHECK);
    const bool reads = member.tablet.alias == asked_.tablet;
    if (reads) {
      agent::ImportSource* source = request.mutable_source();
      source->set_host(asked_.host);
      source->set_port(asked_.port);
      source->set_user(asked_.user);
      source->set_password(asked_.password);
      source->set_database(asked_.database);
    }
    agent::ImportResponse response;
    Status done = co_await Ask(member, request, &response, Deadline::In(kCall).EarlierOf(deadline));
    if (!done) co_return done;
    for (const std::string& problem : response.problems()) problems.push_back(problem);
    for (const std::string& warning : response.warnings()) told_("warning: " + warning);
    if (reads) {
      source_id = response.source_server_id();
    } else {
      ids.emplace_back(response.server_id(), member.tablet.alias.ToString());
    }
  }
  for (const auto& [id, name] : ids) {
    if (id == source_id)
      problems.push_back(
          fmt::format("the source has the server_id {} of tablet {}: give it "
                      "another one (SET GLOBAL server_id)",
                      id, name));
  }
  if (problems.empty()) co_return Status();
  co_return Fail(Code::kFailedPrecondition, "nothing was changed. {}", Join(problems, "; "));
}

io::Task<Status> ShardImport::CreateLocked(Deadline deadline) {
  Status seen = co_await Look(false, deadline);
  if (!seen) co_return seen;
  const std::string source = fmt::format("{}@{}:{}", asked_.user, asked_.host, asked_.port);
  if (record_ && (record_->source != source || record_->phase != Phase::kImporting)) {
    co_return Fail(Code::kAlreadyExists,
                   "{} is being imported from {} already and is {}: see Import show",
                   asked_.shard.ToString(), record_->source, topo::PhaseName(record_->phase));
  }
  if (record_) asked_.tablet = record_->tablet;
  if (asked_.tablet.empty()) asked_.tablet = shard_.primary_alias;
  for (const Member& member : members_) {
    if (asked_.tablet.empty() && member.tablet.type == record::TabletType::kReplica)
      asked_.tablet = member.tablet.alias;
  }
  Member* reader = Find(asked_.tablet);
  if (reader == nullptr) {
    co_return Fail(Code::kNotFound, "{} has no tablet {} that could read from the source",
                   asked_.shard.ToString(), asked_.tablet.ToString());
  }
  const Member importer = *reader;
  if (!record_) {
    Status fit = co_await Check(deadline);
    if (!fit) co_return fit;
    record_ = Record();
    record_->id = HexEncode(std::to_string(ThreadRng().Next()));
    record_->tablet = asked_.tablet;
    record_->source = source;
    record_->database = importer.tablet.DbName();
    Status written = co_await SetPhase(Phase::kImporting, deadline);
    if (!written) co_return written;
  }
  Status barred = co_await Bar(true, deadline);
  if (!barred) co_return barred;
  Result<Led> led = co_await TakeLead(deadline);
  if (!led) co_return Fail(led.error());
  Request start = Of(Request::START);
  agent::ImportSource* from = start.mutable_source();
  from->set_host(asked_.host);
  from->set_port(asked_.port);
  from->set_user(asked_.user);
  from->set_password(asked_.password);
  from->set_database(record_->database);
  agent::ImportResponse response;
  Status begun = co_await Ask(importer, start, &response, Deadline::In(kCall).EarlierOf(deadline));
  if (!begun) co_return begun;
  Status cleared = co_await ClearPrimary(deadline);
  if (!cleared) co_return cleared;
  told_(fmt::format("{} copies {} ({}) now. How far it is: Import show {}",
                    importer.tablet.alias.ToString(), source, response.source_version(),
                    asked_.shard.ToString()));
  co_return Status();
}

// Under bars, so nobody is elected meanwhile; in a term of its own, so that no coordinator of
// before goes on.
io::Task<Result<ShardImport::Led>> ShardImport::TakeLead(Deadline deadline) {
  Led led;
  uint64_t term = 0;
  for (const Member& member : members_) {
    agent::TabletStateRequest ask;
    agent::TabletStateResponse state;
    Status answered = co_await member.manager->TabletState(ask, state, Deadline::In(3s));
    if (!answered)
      co_return Fail(answered.error().Context("tablet " + member.tablet.alias.ToString()));
    term = std::max({term, state.promised_term(), state.journal_term()});
    if (state.tablet().type() != topodata::PRIMARY) continue;
    led.tablet = member.tablet.alias;
    led.acknowledgements = state.semi_sync_source() ? state.semi_sync_required() : 0;
  }
  if (led.tablet.empty()) co_return led;
  led.term = term + 1;
  for (const Member& member : members_) {
    agent::PromiseTermRequest ask;
    agent::PromiseTermResponse promise;
    ask.set_term(led.term);
    ask.set_coordinator("Import by vtctld");
    Status promised = co_await member.manager->PromiseTerm(ask, promise, Deadline::In(5s));
    if (!promised)
      co_return Fail(promised.error().Context("tablet " + member.tablet.alias.ToString()));
  }
  agent::DemoteRequest ask;
  agent::DemoteResponse answer;
  ask.set_term(led.term);
  Member* leader = Find(led.tablet);
  std::shared_ptr<port::TabletManager> manager = leader->manager;
  Status demoted = co_await manager->Demote(ask, answer, Deadline::In(20s).EarlierOf(deadline));
  if (!demoted) co_return Fail(demoted.error().Context("demoting " + led.tablet.ToString()));
  co_return led;
}

io::Task<Status> ShardImport::GiveLeadBack(Led led, Deadline deadline) {
  Member* leader = Find(led.tablet);
  if (leader == nullptr) co_return Status();
  agent::UndoDemoteRequest ask;
  agent::UndoDemoteResponse answer;
  ask.set_term(led.term);
  ask.set_acknowledgements(led.acknowledgements);
  std::shared_ptr<port::TabletManager> manager = leader->manager;
  Status undone = co_await manager->UndoDemote(ask, answer, deadline);
  if (!undone)
    co_return Fail(undone.error().Context("opening " + led.tablet.ToString() + " again"));
  co_return Status();
}

io::Task<Status> ShardImport::ClearPrimary(Deadline deadline) {
  topo::Server::ShardFn clear = [](record::Shard& shard) -> Result<bool> {
    bool differs = !shard.primary_alias.empty();
    shard.primary_alias = {};
    return differs;
  };
  auto cleared = co_await topo_.UpdateShardFields(asked_.shard.keyspace, asked_.shard.shard,
                                                  std::move(clear), deadline);
  if (!cleared) co_return Fail(cleared.error().Context("recording that nobody leads"));
  co_return Status();
}

io::Task<Status> ShardImport::Promote(Deadline deadline) {
  drive::ReparentOptions options;
  options.coordinator = "Import switch by vtctld";
  options.shard = asked_.shard;
  options.request.action = reparent::Action::kInit;
  options.request.new_primary = record_->tablet;
  options.request.for_import = true;
  drive::ReparentDriver driver(topo_, connect_, options, told_);
  Result<TabletAlias> primary = co_await driver.Run(deadline);
  if (!primary) co_return Fail(primary.error());
  co_return Status();
}

io::Task<Status> ShardImport::SwitchLocked(Deadline deadline) {
  Status seen = co_await Look(true, deadline);
  if (!seen) co_return seen;
  if (record_->phase == Phase::kCanceling || record_->phase == Phase::kReturning) {
    co_return Fail(Code::kFailedPrecondition, "the import of {} is {}: run Import {} again first",
                   asked_.shard.ToString(), topo::PhaseName(record_->phase),
                   record_->phase == Phase::kCanceling ? "cancel" : "back");
  }
  Member* reader = Find(record_->tablet);
  if (reader == nullptr) {
    co_return Fail(Code::kNotFound,
                   "tablet {}, which reads from the source, has no record: start "
                   "it, or Import cancel",
                   record_->tablet.ToString());
  }
  const Member importer = *reader;
  agent::ImportResponse state;
  Request show;
  Status told = co_await Ask(importer, show, &state, Deadline::In(kCall).EarlierOf(deadline));
  if (!told) co_return told;
  // An earlier run may have come so far.
  const bool switched = state.step() == "switched";
  if (!switched) {
    Request arm = Of(Request::ARM);
    arm.set_write_stop_max_ms(asked_.write_stop_max / 1ms);
    agent::ImportResponse armed;
    Status may = co_await Ask(importer, arm, &armed, Deadline::In(kCall).EarlierOf(deadline));
    if (!may) co_return may;
    if (armed.problems_size() > 0) {
      std::vector<std::string> problems(armed.problems().begin(), armed.problems().end());
      co_return Fail(Code::kFailedPrecondition, "nothing was changed. {}", Join(problems, "; "));
    }
    Status noted = co_await SetPhase(Phase::kSwitching, deadline);
    if (!noted) co_return noted;
  }
  if (!switched || shard_.primary_alias.empty()) {
    Status promoted = co_await Promote(deadline);
    told = co_await Ask(importer, show, &state, Deadline::In(kCall));
    const bool leads = told && state.step() == "switched";
    if (!promoted && told && !leads) {
      Request disarm = Of(Request::DISARM);
      agent::ImportResponse ignored;
      Status off = co_await Ask(importer, disarm, &ignored, Deadline::In(kCall));
      if (off) off = co_await SetPhase(Phase::kImporting, Deadline::In(10s));
      if (off) off = co_await Bar(true, Deadline::In(10s));  // those that were fenced go on
      if (!off) LOG_WARNING("{}", off.error().ToString());
      co_return promoted;
    }
    if (!promoted)
      co_return Fail(
          promoted.error().Context("run Import switch again, which brings it to an end"));
  }
  Status noted = co_await SetPhase(Phase::kSwitched, deadline);
  if (!noted) co_return noted;
  Status open = co_await Bar(false, deadline);
  // They find out by the record.
  if (!open) told_("warning: " + open.error().message());
  if (!switched) {
    told_(fmt::format("{} leads {}; writes stood still for {} ms", record_->tablet.ToString(),
                      asked_.shard.ToString(), state.write_stop_ms()));
  }
  Status reversed = co_await Reverse(deadline);
  if (!reversed) {
    told_(
        "warning: there is no way back until the source follows the shard (Import switch tries "
        "again): " +
        reversed.error().message());
  }
  told_(
      fmt::format("next: point the applications at vtgate, then Import complete {0}, or Import "
                  "back {0}",
                  asked_.shard.ToString()));
  co_return Status();
}

io::Task<Status> ShardImport::Reverse(Deadline deadline) {
  auto shard = co_await topo_.GetShard(asked_.shard.keyspace, asked_.shard.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  auto primary = co_await topo_.GetTablet(shard->value.primary_alias, deadline);
  if (!primary) co_return Fail(primary.error());
  Member* reader = Find(record_->tablet);
  const Member importer = *reader;
  Request follow = Of(Request::FOLLOW);
  follow.set_primary_host(primary->value.mysql_hostname);
  follow.set_primary_port(primary->value.mysql_port);
  agent::ImportResponse state;
  Status done = co_await Ask(importer, follow, &state, Deadline::In(kCall).EarlierOf(deadline));
  if (!done) co_return done;
  told_(
      fmt::format("the source replicates from {} now, read-only", primary->value.alias.ToString()));
  co_return Status();
}

io::Task<Status> ShardImport::BackLocked(Deadline deadline) {
  Status seen = co_await Look(true, deadline);
  if (!seen) co_return seen;
  const std::string name = asked_.shard.ToString();
  const bool resumes = record_->phase == Phase::kReturning;
  if (record_->phase != Phase::kSwitched && !resumes) {
    co_return Fail(Code::kFailedPrecondition,
                   "the import of {} is {}: there is nothing to go back "
                   "from",
                   name, topo::PhaseName(record_->phase));
  }
  Member* reader = Find(record_->tablet);
  if (reader == nullptr)
    co_return Fail(Code::kNotFound, "tablet {} has no record", record_->tablet.ToString());
  const Member importer = *reader;
  if (!resumes && shard_.primary_alias != record_->tablet) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} leads {}, and {} knows the way back: PlannedReparentShard --new-primary {} "
                   "{} and Import switch {} first",
                   shard_.primary_alias.ToString(), name, record_->tablet.ToString(),
                   record_->tablet.ToString(), name, name);
  }
  Request show;
  agent::ImportResponse state;
  Status told = co_await Ask(importer, show, &state, Deadline::In(kCall).EarlierOf(deadline));
  if (!told) co_return told;
  const bool at_source = state.step() == "returning" || state.step() == "replicating";
  if (!at_source && !state.reverse_running()) {
    co_return Fail(Code::kFailedPrecondition,
                   "the source does not replicate from the shard: {}. Import switch {} sets that "
                   "up again",
                   state.source_error().empty() ? state.reverse_error() : state.source_error(),
                   name);
  }
  if (!at_source && (state.reverse_lag_ms() < 0 || state.reverse_lag_ms() > 5000)) {
    co_return Fail(Code::kFailedPrecondition, "the source lags {} ms behind the shard: wait",
                   state.reverse_lag_ms());
  }
  Status noted = co_await SetPhase(Phase::kReturning, deadline);
  if (!noted) co_return noted;
  Led led;
  if (!at_source) {
    Status barred = co_await Bar(true, deadline);
    Result<Led> taken = Fail(Code::kUnknown, "not taken");
    if (barred) {
      taken = co_await TakeLead(deadline);
      if (taken) led = *taken;
      if (!taken) barred = Fail(taken.error());
    }
    if (!barred) {
      Status undone = co_await Bar(false, deadline);
      if (undone) undone = co_await SetPhase(Phase::kSwitched, deadline);
      if (!undone) LOG_WARNING("{}", undone.error().ToString());
      co_return barred;
    }
  }
  Request giving = Of(Request::RETURN);
  giving.set_write_stop_max_ms(asked_.write_stop_max / 1ms);
  Status returned = co_await Ask(importer, giving, &state, Deadline::In(kCall).EarlierOf(deadline));
  if (!returned) {
    agent::ImportResponse after;
    told = co_await Ask(importer, show, &after, Deadline::In(kCall));
    const bool untouched = told && after.step() == "switched";
    if (!untouched || led.term == 0)
      co_return Fail(returned.error().Context("run Import back again"));
    Status undone = co_await Bar(false, deadline);
    if (undone) undone = co_await GiveLeadBack(led, Deadline::In(10s));
    if (undone) undone = co_await SetPhase(Phase::kSwitched, deadline);
    if (!undone) told_("warning: " + undone.error().message());
    co_return Fail(returned.error().Context("the shard goes on as before"));
  }
  Status cleared = co_await ClearPrimary(deadline);
  if (cleared) cleared = co_await SetPhase(Phase::kImporting, deadline);
  if (!cleared) co_return Fail(cleared.error().Context("run Import back again"));
  told_(fmt::format("{} takes the writes again, and {} replicates from it; it was closed for {} ms",
                    record_->source, record_->tablet.ToString(), state.write_stop_ms()));
  co_return Status();
}

io::Task<Status> ShardImport::CompleteLocked(Deadline deadline) {
  Status seen = co_await Look(true, deadline);
  if (!seen) co_return seen;
  if (record_->phase != Phase::kSwitched) {
    co_return Fail(Code::kFailedPrecondition, "the import of {} is {}: Import switch comes first",
                   asked_.shard.ToString(), topo::PhaseName(record_->phase));
  }
  for (const Member& member : members_) {
    Request request = Of(Request::COMPLETE);
    request.set_force(asked_.force);
    agent::ImportResponse ignored;
    Status done = co_await Ask(member, request, &ignored, Deadline::In(kCall).EarlierOf(deadline));
    if (!done) co_return done;
  }
  if (Find(record_->tablet) == nullptr && !asked_.force) {
    co_return Fail(Code::kNotFound,
                   "tablet {}, which knows the source, has no record any more: end the source's "
                   "replication by hand, and complete with --force",
                   record_->tablet.ToString());
  }
  Status gone = co_await topo::DeleteImport(topo_, asked_.shard, deadline);
  if (!gone) co_return gone;
  told_(fmt::format("the import of {} is complete; {} is read-only, and nobody's replica",
                    asked_.shard.ToString(), record_->source));
  co_return Status();
}

io::Task<Status> ShardImport::CancelLocked(Deadline deadline) {
  Status seen = co_await Look(true, deadline);
  if (!seen) co_return seen;
  if (record_->phase == Phase::kSwitched || record_->phase == Phase::kReturning) {
    co_return Fail(Code::kFailedPrecondition, "{} leads {}: Import back first, or Import complete",
                   shard_.primary_alias.ToString(), asked_.shard.ToString());
  }
  Member* reader = Find(record_->tablet);
  bool begun = false;
  if (reader != nullptr) {
    Request show;
    agent::ImportResponse state;
    Status told = co_await Ask(*reader, show, &state, Deadline::In(kCall).EarlierOf(deadline));
    if (!told) co_return told;
    begun = !state.step().empty() && state.step() != "barred";
    for (const std::string& account : state.accounts()) {
      if (std::ranges::find(record_->accounts, account) == record_->accounts.end())
        record_->accounts.push_back(account);
    }
  }
  if (record_->phase == Phase::kImporting && reader != nullptr && !begun) {
    Status undone = co_await Forget(deadline);
    co_return undone;
  }
  Status noted = co_await SetPhase(Phase::kCanceling, deadline);
  if (!noted) co_return noted;
  for (const Member& member : members_) {
    Request request = Of(Request::CANCEL);
    request.set_force(asked_.force);
    for (const std::string& account : record_->accounts) request.add_accounts(account);
    agent::ImportResponse ignored;
    Status done = co_await Ask(member, request, &ignored, Deadline::In(kWipe));
    if (!done) co_return Fail(done.error().Context("run Import cancel again"));
    told_(member.tablet.alias.ToString() + " is empty");
  }
  Status gone = co_await topo::DeleteImport(topo_, asked_.shard, deadline);
  if (!gone) co_return gone;
  told_(
      fmt::format("the import of {} is canceled: its tablets are empty, and none leads; {} was "
                  "left as it is",
                  asked_.shard.ToString(), record_->source));
  co_return Status();
}

// `create` was cut short before anything was copied: all is as it was before.
io::Task<Status> ShardImport::Forget(Deadline deadline) {
  Status open = co_await Bar(false, deadline);
  if (!open) co_return open;
  for (const Member& member : members_) {
    agent::TabletStateRequest ask;
    agent::TabletStateResponse state;
    Status answered = co_await member.manager->TabletState(ask, state, Deadline::In(3s));
    if (!answered)
      co_return Fail(answered.error().Context("tablet " + member.tablet.alias.ToString()));
    if (state.tablet().type() != topodata::PRIMARY || !state.demoted()) continue;
    Led led{member.tablet.alias, state.promised_term(),
            state.semi_sync_source() ? state.semi_sync_required() : 0};
    Status undone = co_await GiveLeadBack(led, Deadline::In(10s));
    if (!undone) co_return undone;
  }
  Status gone = co_await topo::DeleteImport(topo_, asked_.shard, deadline);
  if (!gone) co_return gone;
  told_("the import of " + asked_.shard.ToString() + " is canceled: it had not begun");
  co_return Status();
}

std::string ShardImport::NextStep(const agent::ImportResponse& importer) const {
  const std::string name = asked_.shard.ToString();
  switch (record_->phase) {
    case Phase::kSwitching:
      return "run Import switch " + name + " again: it was cut short";
    case Phase::kSwitched:
      return fmt::format("Import complete {0}, or Import back {0}", name);
    case Phase::kReturning:
      return "run Import back " + name + " again: it was cut short";
    case Phase::kCanceling:
      return "run Import cancel " + name + " again: it was cut short";
    case Phase::kImporting:
      break;
  }
  if (importer.step().empty() || importer.step() == "barred")
    return "run Import create " + name + " again: it was cut short";
  if (importer.step() != "replicating") return "wait until the copy is made";
  if (!importer.error().empty()) return "mend what its error says";
  return "Import switch " + name;
}

io::Task<Status> ShardImport::Show(Deadline deadline) {
  Status seen = co_await Look(true, deadline);
  if (!seen) co_return seen;
  agent::ImportResponse importer;
  told_(fmt::format("shard:    {}\nphase:    {}\nsource:   {}\ndatabase: {}",
                    asked_.shard.ToString(), topo::PhaseName(record_->phase), record_->source,
                    record_->database));
  for (const Member& member : members_) {
    Request show;
    agent::ImportResponse state;
    Status told = co_await Ask(member, show, &state, Deadline::In(10s).EarlierOf(deadline));
    std::string line = "tablet:   " + member.tablet.alias.ToString() + " ";
    if (!told) {
      told_(line + told.error().message());
      continue;
    }
    const bool reads = member.tablet.alias == record_->tablet;
    line += reads ? (state.step().empty() ? "waits" : state.step()) : "follows";
    if (!state.progress().empty()) line += ": " + state.progress();
    if (state.lag_ms() >= 0) line += fmt::format(", lag {} ms", state.lag_ms());
    if (!state.error().empty()) line += ", error: " + state.error();
    told_(line);
    if (!reads) continue;
    importer = state;
    if (!state.position().empty()) told_("position: " + state.position());
    if (!state.source_position().empty())
      told_("          of the source " + state.source_position());
    if (!state.source_error().empty()) told_("source:   error: " + state.source_error());
    if (state.source_read_only()) told_("source:   is read-only");
    if (!state.reverse_source().empty()) {
      told_(fmt::format("reverse:  the source {} from {}, lag {} ms{}",
                        state.reverse_running() ? "replicates" : "does not replicate",
                        state.reverse_source(), state.reverse_lag_ms(),
                        state.reverse_error().empty() ? "" : ", error: " + state.reverse_error()));
    }
    if (state.write_stop_ms() > 0)
      told_(fmt::format("stopped:  writes stood still for {} ms", state.write_stop_ms()));
  }
  told_("next:     " + NextStep(importer));
  co_return Status();
}

io::Task<Status> RunImport(topo::Server& topo, drive::Connect connect, std::string verb,
                           ImportAsked asked, ShardImport::Told told, Deadline deadline) {
  ShardImport import(topo, std::move(connect), std::move(asked), std::move(told));
  Status done = Fail(Code::kInvalidArgument,
                     "Import {}: use create, show, switch, back, complete or cancel", verb);
  if (verb == "create") done = co_await import.Create(deadline);
  if (verb == "show") done = co_await import.Show(deadline);
  if (verb == "switch") done = co_await import.Switch(deadline);
  if (verb == "back") done = co_await import.Back(deadline);
  if (verb == "complete") done = co_await import.Complete(deadline);
  if (verb == "cancel") done = co_await import.Cancel(deadline);
  co_return done;
}

}  // namespace paceline::vtctld
