// paceline.agent.TabletControl: what carries terms (DESIGN section 7). Each call runs alone; a
// lower term is refused.
#include "base/log.h"
#include "paceline_agent.pb.h"
#include "vttablet/manager/convert.h"
#include "vttablet/manager/import_state.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/sidecar.h"
#include "vttablet/manager/turn.h"

namespace paceline::vttablet {
namespace {

// A mysqld that has not answered simple questions for so long is said to be silent.
constexpr Duration kHungAfter = 500ms;

record::TabletAlias AliasOf(const topodata::TabletAlias& alias) {
  return {alias.cell(), alias.uid()};
}

}  // namespace

io::Task<Status> Manager::CheckTerm(uint64_t term) {
  if (replication_ == nullptr)
    co_return Fail(Code::kUnavailable, "the tablet has not reached its mysqld yet");
  if (unsettled()) {
    co_return Fail(Code::kUnavailable, "{} is being seeded: {}", tablet_.alias.ToString(),
                   SeedText());
  }
  if (term < state_.promised_term) {
    co_return Fail(Code::kFailedPrecondition, "term {} is over: {} has promised term {} to {}",
                   term, tablet_.alias.ToString(), state_.promised_term, state_.coordinator);
  }
  if (term > state_.promised_term) {
    state_.promised_term = term;
    state_.coordinator = "a later call";
    Status saved = co_await Save();
    if (!saved) co_return saved;
  }
  co_return Status();
}

io::Task<Status> Manager::FillState(agent::TabletStateResponse& out, Deadline deadline) {
  ToProto(tablet_, out.mutable_tablet());
  if (archiver_ != nullptr) archiver_->Fill(out);
  out.set_importing(ImportBar());
  if (unsettled()) co_return FillSeeding(out);
  out.set_promised_term(state_.promised_term);
  out.set_serving(serving_);
  out.set_demoted(state_.demoted);
  out.set_fenced(state_.fenced);
  out.set_replication_lag_ms(lag_ ? *lag_ / 1ms : -1);
  FillGrants(out);
  out.set_mysqld_running(false);
  out.set_mysqld_exited(process_runs_ && !*process_runs_);
  out.set_needs_seed(needs_seed_);
  disk_.Fill(out);
  if (replication_ == nullptr) co_return Status();
  out.set_flavor(std::string(gtid::FlavorName(replication_->flavor().gtid_flavor())));
  Time began = loop_.Now();
  Deadline patience = Deadline::In(kHungAfter).EarlierOf(deadline);
  Status told = co_await FillFromMysqld(out, patience);
  // One session that broke is not a death: mysqlctld knows by the process.
  bool unknown = !told && (told.error().code() == Code::kDeadlineExceeded ||
                           told.error().code() == Code::kUnavailable);
  if (!unknown) co_return told;
  bool dead = process_runs_ ? !*process_runs_ : told.error().code() == Code::kUnavailable;
  out.set_mysqld_running(!dead);
  if (dead) co_return Status();
  // A fact about this tablet, not a failure of the call.
  Duration silent = std::max(loop_.Now() - began, loop_.Now() - mysqld_answered_);
  out.set_mysqld_silent_ms(std::max<int64_t>(1, silent / 1ms));
  co_return Status();
}

io::Task<Status> Manager::FillFromMysqld(agent::TabletStateResponse& out, Deadline deadline) {
  Result<mysqld::ReadOnly> read_only = co_await replication_->GetReadOnly(deadline);
  if (!read_only) co_return Fail(read_only.error());
  mysqld_answered_ = loop_.Now();
  out.set_mysqld_running(true);
  out.set_mysqld_exited(false);
  out.set_read_only(read_only->read_only);
  Result<std::optional<mysqld::ReplicationStatus>> replica =
      co_await replication_->Replica(deadline);
  if (!replica) co_return Fail(replica.error());
  if (*replica) {
    const mysqld::ReplicationStatus& status = **replica;
    out.set_executed_position(status.executed.ToEncoded());
    out.set_received_position(status.received.ToEncoded());
    // A foreign server is nobody of the shard.
    if (import_->state.step != ImportState::Step::kReplicating) {
      out.set_source_host(status.source_host);
      out.set_source_port(status.source_port);
    }
    out.set_io_running(status.io == mysqld::ThreadState::kRunning);
    // A Fence that was remembered and could not stop the stream has fenced nothing.
    if (status.io != mysqld::ThreadState::kStopped) out.set_fenced(false);
    out.set_sql_running(status.applier == mysqld::ThreadState::kRunning);
    out.set_replication_error(status.io_error.empty() ? status.applier_error : status.io_error);
    out.set_replication_lag_ms(status.lag ? *status.lag / 1ms : -1);
    Result<std::string> mark = co_await replication_->StreamMark(status, deadline);
    if (!mark) co_return Fail(mark.error());
    out.set_stream_mark(*mark);
  } else {
    Result<gtid::Set> position = co_await replication_->Position(deadline);
    if (!position) co_return Fail(position.error());
    out.set_executed_position(position->ToEncoded());
    out.set_received_position(position->ToEncoded());
  }
  Result<mysqld::SemiSyncStatus> semi_sync = co_await replication_->GetSemiSync(deadline);
  if (!semi_sync) co_return Fail(semi_sync.error());
  out.set_semi_sync_source(semi_sync->source_enabled);
  out.set_semi_sync_replica(semi_sync->replica_enabled);
  out.set_semi_sync_required(semi_sync->source_enabled ? semi_sync->acks_required : 0);
  Result<JournalEntry> journal = co_await ReadJournal(*needs_.dba, options_.sidecar, deadline);
  if (!journal) co_return Fail(journal.error());
  out.set_journal_term(journal->term);
  Result<record::TabletAlias> leader = record::ParseTabletAlias(journal->primary_alias);
  if (leader) {
    out.mutable_journal_primary()->set_cell(leader->cell);
    out.mutable_journal_primary()->set_uid(leader->uid);
  }
  co_return Status();
}

io::Task<Status> Manager::TabletState(const agent::TabletStateRequest& request,
                                      agent::TabletStateResponse& response, Deadline deadline) {
  Status filled = co_await FillState(response, deadline);
  if (filled && request.seed_facts() && response.mysqld_running())
    filled = co_await FillSeedFacts(response, deadline);
  co_return filled;
}

io::Task<Status> Manager::CarriedTopology(const agent::CarriedTopologyRequest&,
                                          agent::CarriedTopologyResponse& response, Deadline) {
  ToProto(tablet_, response.mutable_tablet());
  for (topo::CarriedFile& file : carried_.Files()) {
    agent::CarriedFile* out = response.add_files();
    out->set_path(std::move(file.path));
    out->set_data(std::move(file.data));
    out->set_identity(std::move(file.identity));
    out->set_version(file.version.number);
    out->set_received_unix_ns(file.received.unix_ns);
  }
  co_return Status();
}

io::Task<Status> Manager::PromiseTerm(const agent::PromiseTermRequest& request,
                                      agent::PromiseTermResponse& response, Deadline deadline) {
  // Not behind the role mutex: a promise must be given while an older term's call hangs.
  if (request.term() <= state_.promised_term) {
    co_return Fail(Code::kFailedPrecondition, "{} has already promised term {} to {}",
                   tablet_.alias.ToString(), state_.promised_term, state_.coordinator);
  }
  state_.promised_term = request.term();
  state_.coordinator = request.coordinator();
  Status saved = co_await Save();
  if (!saved) co_return saved;
  Status filled = co_await FillState(*response.mutable_state(), deadline);
  co_return filled;
}

io::Task<Status> Manager::Fence(const agent::FenceRequest& request, agent::FenceResponse& response,
                                Deadline deadline) {
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  Status term = co_await CheckTerm(request.term());
  if (!term) co_return term;
  if (is_primary()) {
    co_return Fail(Code::kFailedPrecondition, "{} is a primary: it is demoted, not fenced",
                   tablet_.alias.ToString());
  }
  // Remembered first: after a crash in between it must not start to receive again.
  state_.fenced = true;
  Status saved = co_await Save();
  if (!saved) co_return saved;
  Status stopped = co_await replication_->StopIo(deadline);
  if (!stopped) co_return stopped;
  Status filled = co_await FillState(*response.mutable_state(), deadline);
  co_return filled;
}

io::Task<Status> Manager::Promote(const agent::PromoteRequest& request,
                                  agent::PromoteResponse& response, Deadline deadline) {
  Status promoted = co_await PromoteWhen(request, true, deadline);
  if (!promoted) co_return promoted;
  Status filled = co_await FillState(*response.mutable_state(), deadline);
  co_return filled;
}

io::Task<Status> Manager::PromoteWhen(const agent::PromoteRequest& request, bool wait_for_ackers,
                                      Deadline deadline) {
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  Status term = co_await CheckTerm(request.term());
  if (!term) co_return term;
  Status frozen = co_await FreezeForeign(deadline);
  if (!frozen) co_return frozen;
  Status promoted = co_await PromoteNow(request, wait_for_ackers, deadline);
  co_await EndFreeze(promoted);
  co_return promoted;
}

io::Task<Status> Manager::PromoteNow(const agent::PromoteRequest& request, bool wait_for_ackers,
                                     Deadline deadline) {
  Result<gtid::Set> must = gtid::Set::ParseEncoded(request.must_contain());
  if (!must) co_return Fail(must.error());
  bool resumed =
      is_primary() && state_.primary_term == request.term() && role_known_ && !state_.demoted;
  if (resumed) co_return Status();
  Status promoted = co_await PromoteInTurn(request, std::move(*must), wait_for_ackers, deadline);
  preparation_.applied.Set();  // where it failed, so that Prepare ends
  co_await preparation_.reading.Wait();
  co_return promoted;
}

io::Task<Status> Manager::PromoteInTurn(const agent::PromoteRequest& request, gtid::Set must,
                                        bool wait_for_ackers, Deadline deadline) {
  preparation_.Forget();
  Result<std::optional<mysqld::ReplicationStatus>> replica =
      co_await replication_->Replica(deadline);
  if (!replica) co_return Fail(replica.error());
  if (*replica) {
    Status stopped = co_await replication_->StopIo(deadline);
    if (!stopped) co_return stopped;
    // MariaDB erases the relay log when a thread is started while none runs.
    const bool stands = (**replica).applier == mysqld::ThreadState::kStopped;
    if (stands) co_await ReadRelayLog(deadline);
    preparation_.reading.Start(Prepare(!stands, deadline));
    if (stands) {
      Status started = co_await replication_->StartApplier(deadline);
      if (!started) co_return started;
    }
    Result<gtid::Set> applied = co_await replication_->WaitForRelayLog(deadline);
    if (!applied) co_return Fail(applied.error().Context("applying what was received"));
    preparation_.applied.Set();
  }
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  if (!position->Contains(must)) {
    co_return Fail(Code::kFailedPrecondition, "{} lacks {}: it must not be promoted",
                   tablet_.alias.ToString(), must.Subtract(*position).ToString());
  }
  Status promoted = co_await BecomePrimary(request, wait_for_ackers, deadline);
  co_return promoted;
}

io::Task<Status> Manager::Demote(const agent::DemoteRequest& request,
                                 agent::DemoteResponse& response, Deadline deadline) {
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  Status term = co_await CheckTerm(request.term());
  if (!term) co_return term;
  if (!is_primary()) {
    co_return Fail(Code::kFailedPrecondition, "{} is not a primary", tablet_.alias.ToString());
  }
  Status stopped = co_await StopServing("demoted: a reparent is under way",
                                        Deadline::In(options_.demote_grace).EarlierOf(deadline));
  if (!stopped) co_return stopped;
  Status read_only = co_await replication_->SetReadOnly(true, deadline);
  if (!read_only) {
    // Sessions wait for an acknowledgement, or a long statement runs: nothing has changed, so it
    // serves on.
    ShowServing();
    co_return Fail(read_only.error().Context("making the primary read-only"));
  }
  state_.demoted = true;
  Status saved = co_await Save();
  if (!saved) co_return saved;
  ShowServing();
  Status filled = co_await FillState(*response.mutable_state(), deadline);
  co_return filled;
}

io::Task<Status> Manager::UndoDemote(const agent::UndoDemoteRequest& request,
                                     agent::UndoDemoteResponse& response, Deadline deadline) {
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  Status term = co_await CheckTerm(request.term());
  if (!term) co_return term;
  if (!is_primary())
    co_return Fail(Code::kFailedPrecondition, "{} is not a primary", tablet_.alias.ToString());
  if (std::string bar = ImportBar(); !bar.empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} gives its lead back to the server it was imported "
                   "from (it is {}): run `Import back` again",
                   tablet_.alias.ToString(), bar);
  }
  uint32_t acks = request.acknowledgements();
  Status semi_sync = co_await ChangeAcknowledgements(acks, deadline);
  if (!semi_sync) co_return semi_sync;
  Result<mysqld::ReadOnly> before = co_await replication_->GetReadOnly(deadline);
  if (!before) co_return Fail(before.error());
  // Whoever was promised a later term meanwhile has seen it closed, and does not fence it.
  Status still = StillLeads(request.term());
  if (!still) co_return still;
  Status writable = co_await replication_->SetReadOnly(false, deadline);
  if (!writable) co_return writable;
  still = StillLeads(request.term());
  if (!still) {
    Status closed;
    if (before->read_only) closed = co_await replication_->SetReadOnly(true, Deadline::In(5s));
    if (!closed) LOG_ERROR("{}", closed.error().Context("closing the primary again").ToString());
    co_return still;
  }
  // It leads the term that its coordinator has given up.
  state_.demoted = false;
  state_.primary_term = request.term();
  Status saved = co_await Save();
  if (!saved) co_return saved;
  ShowServing();
  Status filled = co_await FillState(*response.mutable_state(), deadline);
  co_return filled;
}

io::Task<Status> Manager::Repoint(const agent::RepointRequest& request,
                                  agent::RepointResponse& response, Deadline deadline) {
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  Status term = co_await CheckTerm(request.term());
  if (!term) co_return term;
  if (AliasOf(request.primary()) == tablet_.alias) {
    co_return Fail(Code::kInvalidArgument, "{} cannot replicate from itself",
                   tablet_.alias.ToString());
  }
  told_address_ = {request.primary_host(), request.primary_port()};
  Status replica = co_await BecomeReplicaOf(AliasOf(request.primary()), request.start(),
                                            request.semi_sync(), deadline);
  told_address_ = {};
  if (!replica) co_return replica;
  Status filled = co_await FillState(*response.mutable_state(), deadline);
  co_return filled;
}

}  // namespace paceline::vttablet
