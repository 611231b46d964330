#include "rpc/vtctld.h"

#include <deque>

#include "logutil.pb.h"
#include "rpc/backup_events.h"
#include "rpc/method.h"
#include "vtctldata.pb.h"

namespace paceline::rpc {
namespace {

#define VTCTLD_PATH "/vtctlservice.Vtctld/"
constexpr char kCommandPath[] = "/vtctlservice.Vtctl/ExecuteVtctlCommand";

// Longest part of an output that one event carries.
constexpr size_t kEventBytes = 64 * 1024;

class StreamOutput final : public port::CommandOutput {
 public:
  explicit StreamOutput(ServerCall& call) : call_(call) {}
  void Print(std::string_view text) override {
    for (; text.size() > kEventBytes; text.remove_prefix(kEventBytes)) {
      Add(logutil::CONSOLE, text.substr(0, kEventBytes));
    }
    Add(logutil::CONSOLE, text);
  }
  void Log(std::string_view line) override { Add(logutil::INFO, line); }

  // What the client was too slow to take while the command ran.
  static io::Task<Status> Flush(StreamOutput& output) {
    while (!output.waiting_.empty()) {
      vtctldata::ExecuteVtctlCommandResponse response = std::move(output.waiting_.front());
      output.waiting_.pop_front();
      Status sent = co_await output.call_.Send(response);
      if (!sent) co_return sent;
    }
    co_return Status();
  }

 private:
  void Add(logutil::Level level, std::string_view text) {
    if (call_.canceled()) return;
    vtctldata::ExecuteVtctlCommandResponse response;
    logutil::Event& event = *response.mutable_event();
    int64_t now = SystemClock().WallNow().unix_ns;
    event.mutable_time()->set_seconds(now / 1'000'000'000);
    event.mutable_time()->set_nanoseconds(static_cast<int32_t>(now % 1'000'000'000));
    event.set_level(level);
    event.set_file("vtctld");
    event.set_line(1);
    event.set_value(text.data(), text.size());
    if (waiting_.empty() && call_.TrySend(response)) return;
    waiting_.push_back(std::move(response));
  }
  ServerCall& call_;
  // Bounded by what a command prints, which its own answer bounds.
  std::deque<vtctldata::ExecuteVtctlCommandResponse> waiting_;
};

io::Task<Status> RunCommand(ServerCall& call, const vtctldata::ExecuteVtctlCommandRequest& request,
                            port::Vtctld& vtctld) {
  std::vector<std::string> args(request.args().begin(), request.args().end());
  Deadline deadline = call.deadline();
  // action_timeout is the client's bound of the command, in nanoseconds; 0 is none.
  if (request.action_timeout() > 0)
    deadline = deadline.EarlierOf(Deadline::In(Duration(request.action_timeout())));
  StreamOutput output(call);
  Status status = co_await vtctld.ExecuteVtctlCommand(std::move(args), output, deadline);
  Status flushed = co_await StreamOutput::Flush(output);
  if (!status) co_return status;
  co_return flushed;
}

class Client final : public port::Vtctld {
 public:
  explicit Client(ChannelPtr channel) : channel_(std::move(channel)) {}

#define PACELINE_METHOD(Method)                                                                  \
  io::Task<Status> Method(const ::vtctldata::Method##Request& request,                           \
                          ::vtctldata::Method##Response& response, Deadline deadline) override { \
    return channel_->Unary(VTCTLD_PATH #Method, request, response, deadline);                    \
  }
  PACELINE_VTCTLD_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD

  io::Task<Status> ExecuteVtctlCommand(std::vector<std::string> args, port::CommandOutput& output,
                                       Deadline deadline) override {
    vtctldata::ExecuteVtctlCommandRequest request;
    for (std::string& arg : args) request.add_args(std::move(arg));
    if (!deadline.never()) request.set_action_timeout(deadline.Left(SystemClock().Now()).count());
    std::unique_ptr<ClientStream> stream = channel_->Stream(kCommandPath, request, deadline);
    vtctldata::ExecuteVtctlCommandResponse response;
    for (;;) {
      Result<bool> more = co_await stream->Next(response, deadline);
      if (!more) co_return Fail(more.error());
      if (!*more) co_return Status();
      const logutil::Event& event = response.event();
      event.level() == logutil::CONSOLE ? output.Print(event.value()) : output.Log(event.value());
    }
  }

#define PACELINE_STREAM(Method, Answer)                                                            \
  io::Task<Status> Method(const ::vtctldata::Method##Request& request, port::BackupEvents& events, \
                          Deadline deadline) override {                                            \
    return ReceiveEvents<::vtctldata::Answer>(                                                     \
        channel_->Stream(VTCTLD_PATH #Method, request, deadline), events, deadline);               \
  }
  PACELINE_STREAM(Backup, BackupResponse)
  PACELINE_STREAM(BackupShard, BackupResponse)
  PACELINE_STREAM(RestoreFromBackup, RestoreFromBackupResponse)
#undef PACELINE_STREAM

 private:
  ChannelPtr channel_;
};

#define PACELINE_STREAM(Method, Answer)                                                  \
  io::Task<Status> Method(ServerCall& call, const ::vtctldata::Method##Request& request, \
                          port::Vtctld& vtctld) {                                        \
    EventSender<::vtctldata::Answer> sender(call);                                       \
    Status status = co_await vtctld.Method(request, sender, call.deadline());            \
    co_return status;                                                                    \
  }
PACELINE_STREAM(Backup, BackupResponse)
PACELINE_STREAM(BackupShard, BackupResponse)
PACELINE_STREAM(RestoreFromBackup, RestoreFromBackupResponse)
#undef PACELINE_STREAM

}  // namespace

void AddVtctld(Server& server, io::Loop& loop, port::Vtctld& vtctld) {
#define PACELINE_METHOD(Method) \
  server.Add(loop, UnaryMethod(VTCTLD_PATH #Method, vtctld, &port::Vtctld::Method));
  PACELINE_VTCTLD_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
  port::Vtctld* target = &vtctld;
#define PACELINE_STREAM(Method)                                                                  \
  server.Add(loop, StreamHandler<::vtctldata::Method##Request>(                                  \
                       VTCTLD_PATH #Method,                                                      \
                       [target](ServerCall& call, const ::vtctldata::Method##Request& request) { \
                         return Method(call, request, *target);                                  \
                       }));
  PACELINE_VTCTLD_BACKUP_STREAMS(PACELINE_STREAM)
#undef PACELINE_STREAM
  server.Add(loop,
             StreamHandler<vtctldata::ExecuteVtctlCommandRequest>(
                 kCommandPath,
                 [target](ServerCall& call, const vtctldata::ExecuteVtctlCommandRequest& request) {
                   return RunCommand(call, request, *target);
                 }));
}

std::unique_ptr<port::Vtctld> NewVtctldClient(ChannelPtr channel) {
  return std::make_unique<Client>(std::move(channel));
}

}  // namespace paceline::rpc
