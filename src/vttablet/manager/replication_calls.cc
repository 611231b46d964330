// The replication calls of tabletmanagerservice.TabletManager, as Vitess's tools make them. Those
// that change a role and carry no term take the next one.
#include "base/log.h"
#include "base/strings.h"
#include "paceline_agent.pb.h"
#include "replicationdata.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vttablet/manager/convert.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/sidecar.h"
#include "vttablet/manager/turn.h"

namespace paceline::vttablet {

namespace tm = ::tabletmanagerdata;

#define CALL(Method)                                                                    \
  io::Task<Status> Manager::Method([[maybe_unused]] const tm::Method##Request& request, \
                                   [[maybe_unused]] tm::Method##Response& response,     \
                                   [[maybe_unused]] Deadline deadline)
// Every call needs mysqld's flavor first.
#define NEED_MYSQLD()          \
  if (replication_ == nullptr) \
  co_return Fail(Code::kUnavailable, "the tablet has not reached its mysqld yet")

CALL(ReplicationStatus) {
  NEED_MYSQLD();
  Result<std::optional<mysqld::ReplicationStatus>> status =
      co_await replication_->Replica(deadline);
  if (!status) co_return Fail(status.error());
  if (!*status)
    co_return Fail(Code::kFailedPrecondition, "no replication status: {} is nobody's replica",
                   tablet_.alias.ToString());
  ToProto(**status, response.mutable_status());
  co_return Status();
}

CALL(PrimaryStatus) {
  NEED_MYSQLD();
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  response.mutable_status()->set_position(EncodePosition(*position));
  co_return Status();
}

CALL(PrimaryPosition) {
  NEED_MYSQLD();
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  response.set_position(EncodePosition(*position));
  co_return Status();
}

CALL(WaitForPosition) {
  NEED_MYSQLD();
  Result<gtid::Set> wanted = gtid::Set::ParseEncoded(request.position());
  if (!wanted) co_return Fail(wanted.error());
  Status reached = co_await replication_->WaitForPosition(*wanted, deadline);
  co_return reached;
}

CALL(StopReplication) {
  NEED_MYSQLD();
  state_.replication_stopped = true;
  Status saved = co_await Save();
  if (!saved) co_return saved;
  Status stopped = co_await replication_->Stop(deadline);
  co_return stopped;
}

CALL(StopReplicationMinimum) {
  NEED_MYSQLD();
  Result<gtid::Set> wanted = gtid::Set::ParseEncoded(request.position());
  if (!wanted) co_return Fail(wanted.error());
  Duration timeout(request.wait_timeout());
  Deadline until = timeout > Duration(0) ? Deadline::In(timeout).EarlierOf(deadline) : deadline;
  Status reached = co_await replication_->WaitForPosition(*wanted, until);
  if (!reached) co_return reached;
  state_.replication_stopped = true;
  Status saved = co_await Save();
  if (!saved) co_return saved;
  Status stopped = co_await replication_->Stop(deadline);
  if (!stopped) co_return stopped;
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  response.set_position(EncodePosition(*position));
  co_return Status();
}

CALL(StartReplication) {
  NEED_MYSQLD();
  if (is_primary())
    co_return Fail(Code::kFailedPrecondition, "{} is the primary: it replicates from nobody",
                   tablet_.alias.ToString());
  if (state_.fenced) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} is fenced by term {}: a reparent is under way or was broken off; run "
                   "PlannedReparentShard, "
                   "EmergencyReparentShard or ReparentTablet",
                   tablet_.alias.ToString(), state_.promised_term);
  }
  if (is_snapshot()) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} holds a snapshot of {}: it replicates from nobody", tablet_.alias.ToString(),
                   options_.base_keyspace);
  }
  state_.replication_stopped = false;
  state_.restored.clear();
  Status saved = co_await Save();
  if (!saved) co_return saved;
  Status started = co_await replication_->Start(deadline);
  co_return started;
}

CALL(GetReplicas) {
  NEED_MYSQLD();
  std::string sql =
      "SELECT DISTINCT SUBSTRING_INDEX(host, ':', 1) FROM information_schema.processlist WHERE "
      "command LIKE 'Binlog Dump%' AND host <> 'localhost'";  // that one is our archiver
  Result<mysql::QueryResult> rows = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error());
  for (size_t i = 0; i < rows->rows.size(); ++i) response.add_addrs(rows->Text(i, size_t{0}));
  co_return Status();
}

CALL(ResetReplication) {
  NEED_MYSQLD();
  if (is_primary())
    co_return Fail(Code::kFailedPrecondition, "{} is the primary: its history is not erased",
                   tablet_.alias.ToString());
  gtid::Set nothing(replication_->flavor().gtid_flavor());
  Status reset = co_await replication_->ResetHistory(nothing, deadline);
  co_return reset;
}

CALL(ResetReplicationParameters) {
  NEED_MYSQLD();
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  auto status = co_await replication_->Replica(deadline);
  if (!status) co_return Fail(status.error());
  if (*status && !(**status).executed.Contains((**status).received)) {
    // The relay log goes with the source, and this may be the only copy.
    co_return Fail(Code::kFailedPrecondition,
                   "{} has received and not applied {}: start replication, and ask again once it "
                   "is applied",
                   tablet_.alias.ToString(),
                   (**status).received.Subtract((**status).executed).ToString());
  }
  Status reset = co_await replication_->ForgetSource(deadline);
  co_return reset;
}

CALL(InitPrimary) {
  NEED_MYSQLD();
  agent::PromoteRequest promote;
  promote.set_term(state_.promised_term + 1);
  promote.set_acknowledgements(request.semisync() ? 1 : 0);
  promote.set_action("InitPrimary");
  Status done = co_await PromoteWhen(promote, false, deadline);
  if (!done) co_return done;
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  response.set_position(EncodePosition(*position));
  co_return Status();
}

CALL(PromoteReplica) {
  NEED_MYSQLD();
  agent::PromoteRequest promote;
  promote.set_term(state_.promised_term + 1);
  Result<uint32_t> acks = co_await AcknowledgementsWanted(deadline);
  promote.set_acknowledgements(request.semisync() ? (acks ? std::max<uint32_t>(*acks, 1) : 1) : 0);
  promote.set_action("PromoteReplica");
  Status done = co_await PromoteWhen(promote, false, deadline);
  if (!done) co_return done;
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  response.set_position(EncodePosition(*position));
  co_return Status();
}

CALL(PopulateReparentJournal) {
  NEED_MYSQLD();
  JournalEntry entry;
  entry.term = state_.primary_term;
  entry.action = request.action_name();
  entry.primary_alias =
      record::TabletAlias{request.primary_alias().cell(), request.primary_alias().uid()}.ToString();
  entry.position = request.replication_position();
  entry.created_ns = request.time_created_ns();
  Status sidecar = co_await CreateSidecar(*needs_.dba, options_.sidecar, deadline);
  if (!sidecar) co_return sidecar;
  std::vector<std::string> alone;
  Status written = co_await WriteJournal(*needs_.dba, options_.sidecar, std::move(entry),
                                         std::move(alone), deadline);
  co_return written;
}

CALL(ReadReparentJournalInfo) {
  NEED_MYSQLD();
  std::string sql = "SELECT COUNT(*) FROM `" + options_.sidecar + "`.reparent_journal";
  Result<mysql::QueryResult> rows = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error());
  response.set_length(static_cast<int32_t>(ParseUint(rows->Text(0, size_t{0})).value_or(0)));
  co_return Status();
}

CALL(InitReplica) {
  NEED_MYSQLD();
  tm::SetReplicationSourceRequest source;
  *source.mutable_parent() = request.parent();
  source.set_force_start_replication(true);
  source.set_semisync(request.semisync());
  tm::SetReplicationSourceResponse ignored;
  Status done = co_await SetReplicationSource(source, ignored, deadline);
  co_return done;
}

CALL(SetReplicationSource) {
  NEED_MYSQLD();
  agent::RepointRequest repoint;
  repoint.set_term(state_.promised_term);
  *repoint.mutable_primary() = request.parent();
  repoint.set_semi_sync(request.semisync());
  repoint.set_start(request.force_start_replication() || !state_.replication_stopped);
  agent::RepointResponse ignored;
  Status done = co_await Repoint(repoint, ignored, deadline);
  if (!done || request.wait_position().empty()) co_return done;
  Result<gtid::Set> wanted = gtid::Set::ParseEncoded(request.wait_position());
  if (!wanted) co_return Fail(wanted.error());
  Status reached = co_await replication_->WaitForPosition(*wanted, deadline);
  co_return reached;
}

CALL(DemotePrimary) {
  NEED_MYSQLD();
  agent::DemoteRequest demote;
  demote.set_term(state_.promised_term);
  agent::DemoteResponse ignored;
  Status done = co_await Demote(demote, ignored, deadline);
  if (!done) co_return done;
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  response.mutable_primary_status()->set_position(EncodePosition(*position));
  co_return Status();
}

CALL(UndoDemotePrimary) {
  NEED_MYSQLD();
  agent::UndoDemoteRequest undo;
  undo.set_term(state_.promised_term);
  Result<uint32_t> acks = co_await AcknowledgementsWanted(deadline);
  undo.set_acknowledgements(request.semisync() ? (acks ? std::max<uint32_t>(*acks, 1) : 1) : 0);
  agent::UndoDemoteResponse ignored;
  Status done = co_await UndoDemote(undo, ignored, deadline);
  co_return done;
}

CALL(ReplicaWasPromoted) {
  NEED_MYSQLD();
  if (is_primary() && !state_.demoted) co_return Status();
  tm::PromoteReplicaRequest promote;
  promote.set_semisync(true);
  tm::PromoteReplicaResponse ignored;
  Status done = co_await PromoteReplica(promote, ignored, deadline);
  co_return done;
}

CALL(ReplicaWasRestarted) {
  NEED_MYSQLD();
  role_known_ = false;  // looked at again by the status loop
  co_return Status();
}

CALL(StopReplicationAndGetStatus) {
  NEED_MYSQLD();
  Result<std::optional<mysqld::ReplicationStatus>> before =
      co_await replication_->Replica(deadline);
  if (!before) co_return Fail(before.error());
  if (!*before)
    co_return Fail(Code::kFailedPrecondition, "no replication status: {} is nobody's replica",
                   tablet_.alias.ToString());
  ToProto(**before, response.mutable_status()->mutable_before());
  // Vitess's emergency reparent: whoever stops receiving now must not start again by itself.
  state_.fenced = true;
  Status saved = co_await Save();
  if (!saved) co_return saved;
  bool all = request.stop_replication_mode() == ::replicationdata::IOANDSQLTHREAD;
  Status stopped;
  if (all) {
    stopped = co_await replication_->Stop(deadline);
  } else {
    stopped = co_await replication_->StopIo(deadline);
  }
  if (!stopped) co_return stopped;
  Result<std::optional<mysqld::ReplicationStatus>> after = co_await replication_->Replica(deadline);
  if (!after) co_return Fail(after.error());
  if (*after) ToProto(**after, response.mutable_status()->mutable_after());
  co_return Status();
}

CALL(FullStatus) {
  NEED_MYSQLD();
  ::replicationdata::FullStatus* status = response.mutable_status();
  Result<mysqld::ReadOnly> read_only = co_await replication_->GetReadOnly(deadline);
  if (!read_only) co_return Fail(read_only.error());
  status->set_read_only(read_only->read_only);
  status->set_super_read_only(read_only->super_read_only);
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  status->mutable_primary_status()->set_position(EncodePosition(*position));
  Result<std::optional<mysqld::ReplicationStatus>> replica =
      co_await replication_->Replica(deadline);
  if (!replica) co_return Fail(replica.error());
  if (*replica) ToProto(**replica, status->mutable_replication_status());
  Result<mysqld::SemiSyncStatus> semi_sync = co_await replication_->GetSemiSync(deadline);
  if (!semi_sync) co_return Fail(semi_sync.error());
  status->set_semi_sync_primary_enabled(semi_sync->source_enabled);
  status->set_semi_sync_replica_enabled(semi_sync->replica_enabled);
  status->set_semi_sync_primary_status(semi_sync->source_active);
  status->set_semi_sync_replica_status(semi_sync->replica_active);
  status->set_semi_sync_primary_clients(semi_sync->replicas);
  status->set_semi_sync_primary_timeout(semi_sync->timeout_ms);
  status->set_semi_sync_wait_for_replica_count(semi_sync->acks_required);
  status->set_semi_sync_blocked(semi_sync->waiting_sessions > 0);
  status->set_version(replication_->version().text);
  status->set_tablet_type(static_cast<::topodata::TabletType>(tablet_.type));
  std::string sql = "SELECT @@server_id, @@binlog_format, @@log_bin";
  Result<mysql::QueryResult> rows = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error());
  status->set_server_id(static_cast<uint32_t>(ParseUint(rows->Text(0, size_t{0})).value_or(0)));
  status->set_binlog_format(rows->Text(0, size_t{1}));
  status->set_log_bin_enabled(rows->Text(0, size_t{2}) == "1");
  status->set_log_replica_updates(true);
  status->set_binlog_row_image("FULL");
  if (!replication_->version().mariadb()) {
    std::string more = "SELECT @@server_uuid, @@gtid_purged, @@gtid_mode, @@version_comment";
    Result<mysql::QueryResult> mysql_rows = co_await needs_.dba->Query(std::move(more), deadline);
    if (!mysql_rows) co_return Fail(mysql_rows.error());
    status->set_server_uuid(mysql_rows->Text(0, size_t{0}));
    status->mutable_primary_status()->set_server_uuid(mysql_rows->Text(0, size_t{0}));
    status->set_gtid_purged(mysql_rows->Text(0, size_t{1}));
    status->set_gtid_mode(mysql_rows->Text(0, size_t{2}));
    status->set_version_comment(mysql_rows->Text(0, size_t{3}));
  }
  co_return Status();
}

}  // namespace paceline::vttablet
