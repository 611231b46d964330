#include "rpc/mysqlctl.h"

#include <algorithm>

#include "mysqlctl.pb.h"
#include "paceline_agent.pb.h"
#include "rpc/byte_stream.h"
#include "rpc/method.h"

namespace paceline::rpc {
namespace {

#define MYSQLCTL_PATH "/mysqlctl.MysqlCtl/"
#define AGENT_PATH "/paceline.agent.MysqldAgent/"

void ToMessage(const port::BackupPlace& place, agent::BackupPlace* out) {
  out->set_storage(place.storage);
  out->set_root(place.root);
  out->set_key_file(place.key_file);
  out->set_keyspace(place.keyspace);
  out->set_shard(place.shard);
}
port::BackupPlace FromMessage(const agent::BackupPlace& place) {
  return {place.storage(), place.root(), place.key_file(), place.keyspace(), place.shard()};
}

class StateSender final : public port::MysqldStateSink {
 public:
  explicit StateSender(ServerCall& call) : call_(call) {}
  void OnState(const port::MysqldState& state) override {
    agent::MysqldState message;
    message.set_running(state.running);
    message.set_pid(state.pid);
    message.set_start_count(state.start_count);
    message.set_last_exit(state.last_exit);
    message.set_held(state.held);
    message.set_unusable(state.unusable);
    message.set_placing(state.placing);
    // A watcher too slow for this gets the state with the next turn.
    call_.TrySend(message);
  }

 private:
  ServerCall& call_;
};

io::Task<Status> Watch(ServerCall& call, port::Mysqlctl& agent) {
  StateSender sender(call);
  while (!call.canceled()) {
    Deadline turn = Deadline::In(kWatchTurn).EarlierOf(call.deadline());
    Status status = co_await agent.WatchMysqld(sender, turn);
    if (!status && status.error().code() != Code::kDeadlineExceeded) co_return status;
    if (status) co_return Fail(Code::kUnavailable, "the agent ended the watch");
    // Not later than the client: a turn whose deadline has passed would never give up the loop.
    if (call.deadline().Passed(io::Loop::Current().Now())) co_return status;
  }
  co_return Fail(Code::kCanceled, "the watcher has gone");
}

port::Written FromProto(const agent::ReadWrittenResponse& response) {
  port::Written written;
  written.told = response.told();
  written.procedures = response.procedures();
  for (const agent::WrittenAttempt& from : response.attempts()) {
    port::WrittenAttempt& attempt = written.attempts.emplace_back();
    attempt.attempt = from.attempt();
    attempt.gtid = from.gtid();
    attempt.statements = from.statements();
    for (const agent::WrittenChange& one : from.changes()) {
      port::WrittenChange& change = attempt.changes.emplace_back();
      change.database = one.database();
      change.table = one.table();
      change.inserted = one.inserted();
      change.updated = one.updated();
      change.deleted = one.deleted();
      change.columns = one.columns();
      int count = std::min(one.first_row_columns_size(), one.first_row_values_size());
      for (int i = 0; i < count; ++i)
        change.first_row.emplace_back(one.first_row_columns(i), one.first_row_values(i));
    }
  }
  return written;
}

void ToProto(const port::Written& written, agent::ReadWrittenResponse& response) {
  response.set_told(written.told);
  response.set_procedures(written.procedures);
  for (const port::WrittenAttempt& attempt : written.attempts) {
    agent::WrittenAttempt* to = response.add_attempts();
    to->set_attempt(attempt.attempt);
    to->set_gtid(attempt.gtid);
    to->set_statements(attempt.statements);
    for (const port::WrittenChange& change : attempt.changes) {
      agent::WrittenChange* one = to->add_changes();
      one->set_database(change.database);
      one->set_table(change.table);
      one->set_inserted(change.inserted);
      one->set_updated(change.updated);
      one->set_deleted(change.deleted);
      one->set_columns(change.columns);
      for (const auto& [column, value] : change.first_row) {
        one->add_first_row_columns(column);
        one->add_first_row_values(value);
      }
    }
  }
}

// Until the stream tells `result`. Whoever wants no more of it cancels the call and hears how it
// ends.
io::Task<Result<std::string>> Follow(ClientStream& stream, port::SeedSink& sink,
                                     const std::string& (agent::SeedProgress::*result)() const,
                                     const char* what, Deadline deadline) {
  bool wanted = true;
  for (;;) {
    agent::SeedProgress message;
    Result<bool> more = co_await stream.Next(message, deadline);
    if (!more) co_return Fail(more.error());
    if (!*more) co_return Fail(Code::kUnavailable, "the agent ended the {} without a word", what);
    if (!(message.*result)().empty()) co_return (message.*result)();
    port::SeedProgress progress{message.phase(), message.bytes(), message.total()};
    if (wanted && !sink.OnProgress(progress)) {
      wanted = false;
      stream.Cancel();
    }
  }
}

class Client final : public port::Mysqlctl {
 public:
  explicit Client(ChannelPtr channel) : channel_(std::move(channel)) {}

#define PACELINE_METHOD(Method)                                                                 \
  io::Task<Status> Method(const ::mysqlctl::Method##Request& request,                           \
                          ::mysqlctl::Method##Response& response, Deadline deadline) override { \
    return channel_->Unary(MYSQLCTL_PATH #Method, request, response, deadline);                 \
  }
  PACELINE_MYSQLCTL_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD

  io::Task<Status> WatchMysqld(port::MysqldStateSink& sink, Deadline deadline) override {
    agent::WatchMysqldRequest request;
    std::unique_ptr<ClientStream> stream =
        channel_->Stream(AGENT_PATH "WatchMysqld", request, deadline);
    agent::MysqldState message;
    for (;;) {
      Result<bool> more = co_await stream->Next(message, deadline);
      if (!more) co_return Fail(more.error());
      if (!*more)
        co_return Fail(Code::kUnavailable, "{}: the agent ended the watch", channel_->address());
      port::MysqldState state;
      state.running = message.running();
      state.pid = message.pid();
      state.start_count = message.start_count();
      state.last_exit = message.last_exit();
      state.held = message.held();
      state.unusable = message.unusable();
      state.placing = message.placing();
      sink.OnState(state);
    }
  }
  io::Task<Status> SetRole(bool primary, Deadline deadline) override {
    agent::SetRoleRequest request;
    request.set_primary(primary);
    agent::SetRoleResponse response;
    Status status = co_await channel_->Unary(AGENT_PATH "SetRole", request, response, deadline);
    co_return status;
  }
  io::Task<Status> Keep(Deadline deadline) override {
    agent::KeepRequest request;
    agent::KeepResponse response;
    Status status = co_await channel_->Unary(AGENT_PATH "Keep", request, response, deadline);
    co_return status;
  }
  io::Task<Result<std::string>> Seed(port::SeedOrder order, port::SeedSink& sink,
                                     Deadline deadline) override {
    agent::SeedRequest request;
    request.set_way(static_cast<int32_t>(order.way));
    request.set_host(order.host);
    request.set_port(order.port);
    request.set_user(order.user);
    request.set_password(order.password);
    request.set_tablet_address(order.tablet_address);
    ToMessage(order.place, request.mutable_place());
    request.set_backup(order.backup);
    std::unique_ptr<ClientStream> stream = channel_->Stream(AGENT_PATH "Seed", request, deadline);
    Result<std::string> position =
        co_await Follow(*stream, sink, &agent::SeedProgress::position, "seed", deadline);
    co_return position;
  }
  io::Task<Result<std::string>> Backup(port::BackupOrder order, port::SeedSink& sink,
                                       Deadline deadline) override {
    agent::AgentBackupRequest request;
    ToMessage(order.place, request.mutable_place());
    request.set_alias(order.alias);
    request.set_engine(order.engine);
    request.set_compression(order.compression);
    request.set_rate(order.rate);
    request.set_no_row_counts(!order.count_rows);
    std::unique_ptr<ClientStream> stream = channel_->Stream(AGENT_PATH "Backup", request, deadline);
    Result<std::string> backup =
        co_await Follow(*stream, sink, &agent::SeedProgress::backup, "backup", deadline);
    co_return backup;
  }
  io::Task<Result<std::string>> VerifyBackup(port::VerifyOrder order, port::SeedSink& sink,
                                             Deadline deadline) override {
    agent::AgentVerifyRequest request;
    ToMessage(order.place, request.mutable_place());
    request.set_backup(order.backup);
    std::unique_ptr<ClientStream> stream =
        channel_->Stream(AGENT_PATH "VerifyBackup", request, deadline);
    Result<std::string> verdict =
        co_await Follow(*stream, sink, &agent::SeedProgress::verdict, "check", deadline);
    co_return verdict;
  }
  io::Task<Status> ForgetOldData(bool keep_logs, Deadline deadline) override {
    agent::ForgetOldDataRequest request;
    request.set_keep_logs(keep_logs);
    agent::ForgetOldDataResponse response;
    Status status =
        co_await channel_->Unary(AGENT_PATH "ForgetOldData", request, response, deadline);
    co_return status;
  }
  io::Task<Status> StreamData(io::ByteSink& sink, Deadline deadline) override {
    Status status = co_await ReceiveChunks(channel_, AGENT_PATH "StreamData", sink, deadline);
    co_return status;
  }
  io::Task<Result<port::RewindReport>> Rewind(port::RewindOrder order, Deadline deadline) override {
    agent::RewindRequest request;
    request.set_keep(order.keep);
    request.set_kill(order.kill);
    agent::RewindResponse response;
    Status status = co_await channel_->Unary(AGENT_PATH "Rewind", request, response, deadline);
    if (!status) co_return Fail(status.error());
    port::RewindReport report;
    report.transactions = response.transactions();
    report.only_sidecar = response.only_sidecar();
    report.export_file = response.export_file();
    report.cut = response.cut();
    report.position = response.position();
    co_return report;
  }
  io::Task<Status> Kill(Deadline deadline) override {
    agent::KillRequest request;
    agent::KillResponse response;
    Status status = co_await channel_->Unary(AGENT_PATH "Kill", request, response, deadline);
    co_return status;
  }
  io::Task<Status> NoteSemiSync(port::SemiSyncNote note, Deadline deadline) override {
    agent::NoteSemiSyncRequest request;
    request.set_on(note.on);
    request.set_acknowledgements(note.acknowledgements);
    request.set_durable(note.durable);
    request.set_confirmed(note.confirmed);
    agent::NoteSemiSyncResponse response;
    Status status =
        co_await channel_->Unary(AGENT_PATH "NoteSemiSync", request, response, deadline);
    co_return status;
  }
  io::Task<Result<port::Written>> ReadWritten(port::WrittenQuery query,
                                              Deadline deadline) override {
    agent::ReadWrittenRequest request;
    request.set_received(query.received);
    request.set_known(query.known);
    agent::ReadWrittenResponse response;
    Status status = co_await channel_->Unary(AGENT_PATH "ReadWritten", request, response, deadline);
    if (!status) co_return Fail(status.error());
    co_return FromProto(response);
  }

 private:
  ChannelPtr channel_;
};

class SeedTeller final : public port::SeedSink {
 public:
  explicit SeedTeller(ServerCall& call) : call_(call) {}
  bool OnProgress(const port::SeedProgress& progress) override {
    agent::SeedProgress message;
    message.set_phase(progress.phase);
    message.set_bytes(progress.bytes);
    message.set_total(progress.total);
    call_.TrySend(message);
    return !call_.canceled();
  }

 private:
  ServerCall& call_;
};

io::Task<Status> Seed(ServerCall& call, port::SeedOrder order, port::Mysqlctl& agent) {
  SeedTeller teller(call);
  Result<std::string> position = co_await agent.Seed(std::move(order), teller, call.deadline());
  if (!position) co_return Fail(position.error());
  agent::SeedProgress last;
  last.set_phase("done");
  last.set_position(*position);
  Status sent = co_await call.Send(last);
  co_return sent;
}
io::Task<Status> Backup(ServerCall& call, port::BackupOrder order, port::Mysqlctl& agent) {
  SeedTeller teller(call);
  Result<std::string> name = co_await agent.Backup(std::move(order), teller, call.deadline());
  if (!name) co_return Fail(name.error());
  agent::SeedProgress last;
  last.set_phase("done");
  last.set_backup(*name);
  Status sent = co_await call.Send(last);
  co_return sent;
}
io::Task<Status> VerifyBackup(ServerCall& call, port::VerifyOrder order, port::Mysqlctl& agent) {
  SeedTeller teller(call);
  Result<std::string> verdict =
      co_await agent.VerifyBackup(std::move(order), teller, call.deadline());
  if (!verdict) co_return Fail(verdict.error());
  agent::SeedProgress last;
  last.set_phase("done");
  last.set_verdict(*verdict);
  Status sent = co_await call.Send(last);
  co_return sent;
}
io::Task<Status> ForgetOldData(ServerCall& call, bool keep_logs, port::Mysqlctl& agent) {
  Status status = co_await agent.ForgetOldData(keep_logs, call.deadline());
  co_return status;
}
io::Task<Status> StreamData(ServerCall& call, port::Mysqlctl& agent) {
  ChunkSender sender(call);
  Status status = co_await agent.StreamData(sender, call.deadline());
  co_return status;
}

void AddSeed(Server& server, io::Loop& loop, port::Mysqlctl* target) {
  server.Add(loop,
             StreamHandler<agent::SeedRequest>(
                 AGENT_PATH "Seed", [target](ServerCall& call, const agent::SeedRequest& request) {
                   port::SeedOrder order;
                   order.way = static_cast<port::SeedOrder::Way>(request.way());
                   order.host = request.host();
                   order.port = static_cast<uint16_t>(request.port());
                   order.user = request.user();
                   order.password = request.password();
                   order.tablet_address = request.tablet_address();
                   order.place = FromMessage(request.place());
                   order.backup = request.backup();
                   return Seed(call, std::move(order), *target);
                 }));
  server.Add(loop, StreamHandler<agent::AgentBackupRequest>(
                       AGENT_PATH "Backup",
                       [target](ServerCall& call, const agent::AgentBackupRequest& request) {
                         port::BackupOrder order;
                         order.place = FromMessage(request.place());
                         order.alias = request.alias();
                         order.engine = request.engine();
                         order.compression = request.compression();
                         order.rate = request.rate();
                         order.count_rows = !request.no_row_counts();
                         return Backup(call, std::move(order), *target);
                       }));
  server.Add(loop, StreamHandler<agent::AgentVerifyRequest>(
                       AGENT_PATH "VerifyBackup",
                       [target](ServerCall& call, const agent::AgentVerifyRequest& request) {
                         port::VerifyOrder order{FromMessage(request.place()), request.backup()};
                         return VerifyBackup(call, std::move(order), *target);
                       }));
  server.Add(loop, UnaryHandler<agent::ForgetOldDataRequest, agent::ForgetOldDataResponse>(
                       AGENT_PATH "ForgetOldData",
                       [target](ServerCall& call, const agent::ForgetOldDataRequest& request,
                                agent::ForgetOldDataResponse&) {
                         return ForgetOldData(call, request.keep_logs(), *target);
                       }));
  server.Add(loop, StreamHandler<agent::StreamDataRequest>(
                       AGENT_PATH "StreamData",
                       [target](ServerCall& call, const agent::StreamDataRequest&) {
                         return StreamData(call, *target);
                       }));
}

io::Task<Status> SetRole(ServerCall& call, bool primary, port::Mysqlctl& agent) {
  Status status = co_await agent.SetRole(primary, call.deadline());
  co_return status;
}
io::Task<Status> Keep(ServerCall& call, port::Mysqlctl& agent) {
  Status status = co_await agent.Keep(call.deadline());
  co_return status;
}

io::Task<Status> Rewind(ServerCall& call, port::RewindOrder order, port::Mysqlctl& agent,
                        agent::RewindResponse& response) {
  Result<port::RewindReport> report = co_await agent.Rewind(std::move(order), call.deadline());
  if (!report) co_return Fail(report.error());
  response.set_transactions(report->transactions);
  response.set_only_sidecar(report->only_sidecar);
  response.set_export_file(report->export_file);
  response.set_cut(report->cut);
  response.set_position(report->position);
  co_return Status();
}
io::Task<Status> Kill(ServerCall& call, port::Mysqlctl& agent) {
  Status status = co_await agent.Kill(call.deadline());
  co_return status;
}
io::Task<Status> NoteSemiSync(ServerCall& call, port::SemiSyncNote note, port::Mysqlctl& agent) {
  Status status = co_await agent.NoteSemiSync(note, call.deadline());
  co_return status;
}
io::Task<Status> ReadWritten(ServerCall& call, port::WrittenQuery query, port::Mysqlctl& agent,
                             agent::ReadWrittenResponse& response) {
  Result<port::Written> written = co_await agent.ReadWritten(std::move(query), call.deadline());
  if (!written) co_return Fail(written.error());
  ToProto(*written, response);
  co_return Status();
}

// The verbs of rewinding.
void AddRewind(Server& server, io::Loop& loop, port::Mysqlctl* target) {
  server.Add(
      loop, UnaryHandler<agent::RewindRequest, agent::RewindResponse>(
                AGENT_PATH "Rewind", [target](ServerCall& call, const agent::RewindRequest& request,
                                              agent::RewindResponse& response) {
                  port::RewindOrder order{request.keep(), request.kill()};
                  return Rewind(call, std::move(order), *target, response);
                }));
  server.Add(
      loop, UnaryHandler<agent::KillRequest, agent::KillResponse>(
                AGENT_PATH "Kill", [target](ServerCall& call, const agent::KillRequest&,
                                            agent::KillResponse&) { return Kill(call, *target); }));
  server.Add(loop, UnaryHandler<agent::NoteSemiSyncRequest, agent::NoteSemiSyncResponse>(
                       AGENT_PATH "NoteSemiSync",
                       [target](ServerCall& call, const agent::NoteSemiSyncRequest& request,
                                agent::NoteSemiSyncResponse&) {
                         port::SemiSyncNote note{request.on(), request.acknowledgements(),
                                                 request.durable(), request.confirmed()};
                         return NoteSemiSync(call, note, *target);
                       }));
  server.Add(loop, UnaryHandler<agent::ReadWrittenRequest, agent::ReadWrittenResponse>(
                       AGENT_PATH "ReadWritten",
                       [target](ServerCall& call, const agent::ReadWrittenRequest& request,
                                agent::ReadWrittenResponse& response) {
                         port::WrittenQuery query{request.received(), request.known()};
                         return ReadWritten(call, std::move(query), *target, response);
                       }));
}

}  // namespace

void AddMysqlctl(Server& server, io::Loop& loop, port::Mysqlctl& agent) {
#define PACELINE_METHOD(Method) \
  server.Add(loop, UnaryMethod(MYSQLCTL_PATH #Method, agent, &port::Mysqlctl::Method));
  PACELINE_MYSQLCTL_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
  port::Mysqlctl* target = &agent;
  server.Add(loop, StreamHandler<agent::WatchMysqldRequest>(
                       AGENT_PATH "WatchMysqld",
                       [target](ServerCall& call, const agent::WatchMysqldRequest&) {
                         return Watch(call, *target);
                       }));
  server.Add(loop, UnaryHandler<agent::SetRoleRequest, agent::SetRoleResponse>(
                       AGENT_PATH "SetRole",
                       [target](ServerCall& call, const agent::SetRoleRequest& request,
                                agent::SetRoleResponse&) {
                         return SetRole(call, request.primary(), *target);
                       }));
  server.Add(
      loop, UnaryHandler<agent::KeepRequest, agent::KeepResponse>(
                AGENT_PATH "Keep", [target](ServerCall& call, const agent::KeepRequest&,
                                            agent::KeepResponse&) { return Keep(call, *target); }));
  AddRewind(server, loop, target);
  AddSeed(server, loop, target);
}

std::unique_ptr<port::Mysqlctl> NewMysqlctlClient(ChannelPtr channel) {
  return std::make_unique<Client>(std::move(channel));
}

}  // namespace paceline::rpc
