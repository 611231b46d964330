#include "rpc/mysqlctl.h"

#include "mysqlctl.pb.h"
#include "paceline_agent.pb.h"
#include "rpc/method.h"

namespace paceline::rpc {
namespace {

#define MYSQLCTL_PATH "/mysqlctl.MysqlCtl/"
#define AGENT_PATH "/paceline.agent.MysqldAgent/"

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
  }
  co_return Fail(Code::kCanceled, "the watcher has gone");
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

 private:
  ChannelPtr channel_;
};

io::Task<Status> SetRole(ServerCall& call, bool primary, port::Mysqlctl& agent) {
  Status status = co_await agent.SetRole(primary, call.deadline());
  co_return status;
}
io::Task<Status> Keep(ServerCall& call, port::Mysqlctl& agent) {
  Status status = co_await agent.Keep(call.deadline());
  co_return status;
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
}

std::unique_ptr<port::Mysqlctl> NewMysqlctlClient(ChannelPtr channel) {
  return std::make_unique<Client>(std::move(channel));
}

}  // namespace paceline::rpc
