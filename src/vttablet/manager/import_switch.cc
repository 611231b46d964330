// An import's switch, its way back, and its end: what touches the foreign server and this tablet's
// role together.
#include "base/log.h"
#include "base/strings.h"
#include "paceline_agent.pb.h"
#include "vttablet/manager/import_state.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/turn.h"

namespace paceline::vttablet {

using Step = ImportState::Step;

namespace {

constexpr Duration kWipeMax = std::chrono::minutes(10);
constexpr Duration kArmedFor = 60s;
// Less than this is caught up with in a moment.
constexpr Duration kLagToSwitch = 5s;

}  // namespace

io::Task<Status> Manager::ArmImport(const agent::ImportRequest& request,
                                    agent::ImportResponse& response, Deadline deadline) {
  Importing& import = *import_;
  if (import.state.step != Step::kReplicating) {
    co_return Fail(Code::kFailedPrecondition, "{} does not replicate from the source yet: it is {}",
                   tablet_.alias.ToString(), StepName(import.state.step));
  }
  import.foreign.reset();  // what is broken since is not found out while writes stand still
  Status reached = co_await ReachForeign(deadline);
  if (!reached) co_return reached;
  std::shared_ptr<ForeignServer> foreign = import.foreign;
  Result<SourceFacts> facts = co_await foreign->Facts(deadline);
  if (!facts) co_return Fail(facts.error());
  const std::string name = "the source " + import.state.source.ToString();
  if (facts->read_only) response.add_problems(name + " is read-only: it takes no writes");
  if (!facts->replicates_from.empty())
    response.add_problems(name + " replicates from " + facts->replicates_from);
  if (!facts->missing_rights.empty())
    response.add_problems(name + ": the account lacks " + Join(facts->missing_rights, ", "));
  Result<std::optional<mysqld::ReplicationStatus>> now = co_await replication_->Replica(deadline);
  if (!now) co_return Fail(now.error());
  if (!*now || !(**now).running()) {
    std::string why = *now && !(**now).applier_error.empty() ? (**now).applier_error : "";
    if (*now && !(**now).io_error.empty()) why = (**now).io_error;
    response.add_problems(fmt::format("{} does not replicate from it at the moment: {}",
                                      tablet_.alias.ToString(), why));
  } else if (!(**now).lag || *(**now).lag > kLagToSwitch) {
    response.add_problems(fmt::format(
        "{} lags behind it by {} s: wait until it is below {} s", tablet_.alias.ToString(),
        (**now).lag ? std::to_string(*(**now).lag / 1s) : "unknown", kLagToSwitch / 1s));
  }
  Result<gtid::Set> own = co_await replication_->Position(deadline);
  if (!own) co_return Fail(own.error());
  Result<gtid::Set> theirs = co_await foreign->replication().Position(deadline);
  if (!theirs) co_return Fail(theirs.error());
  if (!theirs->Contains(*own)) {
    response.add_problems(fmt::format("{} has transactions that the source lacks: {}",
                                      tablet_.alias.ToString(), own->Subtract(*theirs).ToString()));
  }
  Result<std::string> schema = co_await ForeignServer::SchemaDigest(foreign->admin(), deadline);
  if (!schema) co_return Fail(schema.error().Context(name));
  Status caught_up =
      co_await replication_->WaitForPosition(*theirs, Deadline::In(10s).EarlierOf(deadline));
  if (!caught_up) co_return caught_up;
  Result<std::string> copy = co_await ForeignServer::SchemaDigest(*needs_.dba, deadline);
  if (!copy) co_return Fail(copy.error());
  if (*schema != *copy)
    response.add_problems(
        "the columns of the tables are not the same in both: somebody changed them during the "
        "import; see information_schema.columns, or begin anew");
  if (response.problems_size() > 0) co_return Status();
  Result<bool> events = co_await foreign->EventsRun(deadline);
  if (!events) co_return Fail(events.error());
  import.state.events = *events;
  import.armed_until = loop_.Now() + kArmedFor;
  import.write_stop_max = std::chrono::milliseconds(request.write_stop_max_ms());
  import.switch_failed.clear();
  co_return Status();
}

// Before a promotion, with its turn taken. Where this tablet imports: the source is closed, and all
// that it acknowledged is here when this returns.
io::Task<Status> Manager::FreezeForeign(Deadline deadline) {
  Importing& import = *import_;
  if (!import.state.bar) co_return Status();
  const std::string shard = tablet_.keyspace + "/" + tablet_.shard;
  if (import.state.step != Step::kReplicating || loop_.Now() >= import.armed_until) {
    std::string why = import.switch_failed;
    if (why.empty())
      why = fmt::format(
          "{} is being imported, {} is {}: `vtctldclient Import switch {}` makes a "
          "primary, `Import show` tells how far it is",
          shard, tablet_.alias.ToString(), StepName(import.state.step), shard);
    co_return Fail(Code::kFailedPrecondition, "{}", why);
  }
  import.armed_until = {};
  import.state.frozen = true;
  Status noted = co_await SaveImport();
  std::shared_ptr<ForeignServer> foreign = import.foreign;
  if (noted && foreign == nullptr) noted = Fail(Code::kUnavailable, "the source is not reached");
  if (noted && import.state.events) noted = co_await foreign->StopEvents(deadline);
  import.frozen_at = loop_.Now();
  Deadline limit = Deadline::In(import.write_stop_max).EarlierOf(deadline);
  if (noted) {
    Result<gtid::Set> all = co_await foreign->Freeze(gate_, limit);
    if (all) {
      noted = co_await replication_->WaitForPosition(*all, limit);
      if (!noted) noted = Fail(noted.error().Context(tablet_.alias.ToString() + " catches up"));
    } else {
      noted = Fail(all.error());
    }
  }
  if (noted) co_return Status();
  import.switch_failed = "the source takes writes again: " + noted.error().ToString();
  co_await ThawForeign();
  if (import.state.frozen)
    import.switch_failed =
        "the source may be read-only still, which is tried "
        "to mend: " +
        noted.error().ToString();
  co_return Fail(noted.error().code(), "{}", import.switch_failed);
}

io::Task<void> Manager::EndFreeze(Status promoted) {
  Importing& import = *import_;
  if (!import.state.bar) co_return;
  if (!promoted && state_.primary_term == 0) {
    import.switch_failed = "the source takes writes again: " + promoted.error().ToString();
    co_await ThawForeign();
    co_return;
  }
  import.state.write_stop_ms = (loop_.Now() - import.frozen_at) / 1ms;
  import.state.step = Step::kSwitched;
  import.state.bar = false;
  LOG_INFO("import: writes stood still for {} ms", import.state.write_stop_ms);
  Status saved = co_await SaveImport();
  // Found out again by the term that this tablet leads.
  if (!saved) LOG_WARNING("{}", saved.error().ToString());
}

io::Task<Status> Manager::ReverseImport(const agent::ImportRequest& request, Deadline deadline) {
  if (import_->state.step != Step::kSwitched) {
    co_return Fail(Code::kFailedPrecondition, "the import has not been switched: it is {}",
                   StepName(import_->state.step));
  }
  Status reached = co_await ReachForeign(deadline);
  if (!reached) co_return reached;
  mysqld::SourceOptions options = options_.replication;
  options.host = request.primary_host();
  options.port = static_cast<uint16_t>(request.primary_port());
  Status follows = co_await import_->foreign->Follow(std::move(options), deadline);
  if (!follows) import_->foreign.reset();
  co_return follows;
}

io::Task<Status> Manager::ReturnImport(const agent::ImportRequest& request, Deadline deadline) {
  Importing& import = *import_;
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  if (import.state.step == Step::kReplicating) co_return Status();  // it has been done
  bool may = import.state.step == Step::kReturning ||
             (import.state.step == Step::kSwitched && is_primary() && state_.demoted);
  if (!may) {
    co_return Fail(Code::kFailedPrecondition, "{} has not been demoted: the import is {}",
                   tablet_.alias.ToString(), StepName(import.state.step));
  }
  const Time began = loop_.Now();
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  Status reached = co_await ReachForeign(deadline);
  if (!reached) co_return reached;
  std::shared_ptr<ForeignServer> foreign = import.foreign;
  const Deadline soon =
      Deadline::In(std::chrono::milliseconds(request.write_stop_max_ms())).EarlierOf(deadline);
  Status has = co_await foreign->replication().WaitForPosition(*position, soon);
  if (!has) {
    co_return Fail(has.error().Context("the source " + import.state.source.ToString() +
                                       " does not have all that the shard has"));
  }
  // From here on it may be open.
  import.state.step = Step::kReturning;
  import.state.bar = true;
  Status noted = co_await SaveImport();
  if (!noted) co_return noted;
  Deadline limit = Deadline::In(20s);  // begun, it is brought to its end
  Status open = co_await foreign->Unfollow(limit);
  if (open) open = co_await foreign->Thaw(import.state.events, limit);
  if (!open) {
    import.foreign.reset();
    co_return Fail(open.error().code(), "{}: run `Import back` again", open.error().ToString());
  }
  import.state.frozen = false;
  import.state.write_stop_ms = (loop_.Now() - began) / 1ms;
  Status left = co_await LeaveRoles(limit);
  mysqld::SourceOptions again = ForeignSource();
  if (left) left = co_await replication_->SetSource(std::move(again), limit);
  if (!left) co_return left;
  import.state.step = Step::kReplicating;
  noted = co_await SaveImport();
  if (!noted) co_return noted;
  Status started = co_await replication_->Start(limit);
  role_known_ = true;
  co_return started;
}

io::Task<Status> Manager::CompleteImport(bool force, Deadline deadline) {
  Importing& import = *import_;
  if (import.state.id.empty()) co_return Status();
  if (import.state.step != Step::kSwitched && import.state.step != Step::kNone) {
    co_return Fail(Code::kFailedPrecondition, "the import is {}: `Import switch` comes first",
                   StepName(import.state.step));
  }
  if (import.state.step == Step::kSwitched) {
    Status left = co_await ReachForeign(deadline);
    if (left) left = co_await import.foreign->Unfollow(deadline);
    if (!left && !force) {
      co_return Fail(left.error().Context(
          "ending the replication of the source (--force completes without it)"));
    }
  }
  import.foreign.reset();
  import.state = ImportState();
  Status saved = co_await SaveImport();
  co_return saved;
}

io::Task<Status> Manager::CancelImport(const agent::ImportRequest& request, Deadline deadline) {
  Importing& import = *import_;
  if (seeding_) {
    co_return Fail(Code::kUnavailable, "{} takes a seed: run `Import cancel` again when it has it",
                   tablet_.alias.ToString());
  }
  if (is_primary() || import.state.step == Step::kSwitched ||
      import.state.step == Step::kReturning) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} leads the shard: `Import back` first, or `Import complete`",
                   tablet_.alias.ToString());
  }
  if (import.state.id.empty()) co_return Status();
  import.canceled = true;
  Deadline patience = Deadline::In(60s).EarlierOf(deadline);
  while (import.copying) {
    if (patience.Passed(loop_.Now())) {
      import.canceled = false;
      co_return Fail(Code::kDeadlineExceeded, "the copy does not end: run `Import cancel` again");
    }
    bool ended = co_await import.copy_ended.Wait(Deadline::In(1s));
    (void)ended;
  }
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  if (import.state.frozen) co_await ThawForeign();
  if (import.state.frozen && !request.force()) {
    co_return Fail(Code::kUnavailable,
                   "the source {} was closed for a switch and could not be opened again: bring it "
                   "back, or cancel with --force and SET GLOBAL read_only = OFF there",
                   import.state.source.ToString());
  }
  std::vector<std::string> accounts(request.accounts().begin(), request.accounts().end());
  accounts.insert(accounts.end(), import.state.accounts.begin(), import.state.accounts.end());
  Status gone = co_await LeaveRoles(Deadline::In(60s));
  if (gone) gone = co_await WipeData(std::move(accounts), Deadline::In(kWipeMax));
  if (gone) gone = co_await replication_->SetReadOnly(true, Deadline::In(20s));
  if (!gone) co_return gone;
  import.foreign.reset();
  import.state = ImportState();
  import.error.clear();
  import.progress.clear();
  Status saved = co_await SaveImport();
  co_return saved;
}

}  // namespace paceline::vttablet
