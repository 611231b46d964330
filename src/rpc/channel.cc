#include "rpc/channel.h"

#include <absl/base/internal/sysinfo.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/channel_arguments.h>
#include <malloc.h>

#include <deque>
#include <list>
#include <mutex>
#include <optional>

#include "base/check.h"
#include "io/sync.h"
#include "rpc/grpc_glue.h"
#include "rpc/pem.h"

namespace paceline::rpc {
namespace {

// Messages of a stream that the reader has not taken; then the server is made to wait.
constexpr size_t kStreamQueueMessages = 16;

// gRPC 1.51 reads the errno of its connect() only after it has allocated and locked. The first lock
// that is contended (Abseil) and a new arena (malloc) ask /sys for the processors and their
// frequency, which leaves ENOENT where there is no such file: so they are asked beforehand.
bool AskForProcessors() {
  mallopt(M_ARENA_MAX, 8);
  return absl::base_internal::NumCPUs() > 0 && absl::base_internal::NominalCPUFrequency() > 0;
}

// Calls under way, so that Close can cancel them. The loop's own.
using Active = std::list<grpc::ClientContext*>;

void SetDeadline(grpc::ClientContext& context, Deadline deadline) {
  if (deadline.never()) return;
  Duration left = deadline.Left(SystemClock().Now());
  context.set_deadline(gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
}

// gRPC's own words for a lost connection do not say whose; remote texts are left as they are.
Error WithAddress(Error error, const std::string& address) {
  bool local = error.code() == Code::kUnavailable || error.code() == Code::kDeadlineExceeded;
  return local && !error.from_mysql() ? error.Context(address) : error;
}

struct UnaryState {
  grpc::ClientContext context;
  grpc::ByteBuffer request, response;
  grpc::Status status;
  std::coroutine_handle<> handle;
};

struct UnaryAwaiter {
  grpc::GenericStub& stub;
  const std::string& method;
  std::shared_ptr<UnaryState> state;

  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> handle) {
    state->handle = handle;
    io::Loop* loop = &io::Loop::Current();
    UnaryState* raw = state.get();
    stub.UnaryCall(&raw->context, method, {}, &raw->request, &raw->response,
                   [loop, state = state](grpc::Status status) {
                     state->status = std::move(status);
                     loop->Post([state] { state->handle.resume(); });
                   });
  }
  void await_resume() const {}
};

// The reading end of a stream. gRPC's threads fill the queue, the loop empties it; what both touch
// is under mutex_.
class StreamReactor final : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  explicit StreamReactor(io::Loop& loop) : loop_(loop) {}

  void Begin(std::shared_ptr<StreamReactor> self, grpc::GenericStub& stub,
             const std::string& method) {
    self_ = std::move(self);
    stub.PrepareBidiStreamingCall(&context, method, {}, this);
    // The hold keeps OnDone away while nothing is being read, so that the loop may begin a read at
    // any time.
    AddHold();
    holding_ = true;
    StartWriteLast(&request, grpc::WriteOptions());
    StartRead(&inbound_);
    StartCall();
  }
  // A call that never begins: `error` is all the reader gets.
  void Refuse(Error error) { ended_ = std::move(error); }

  void OnReadDone(bool ok) override {
    std::lock_guard lock(mutex_);
    reading_ = false;
    if (!ok || canceled_) {
      LetGo();
    } else {
      queue_.push_back(std::move(inbound_));
      inbound_.Clear();
      if (queue_.size() < kStreamQueueMessages) ReadMore();
    }
    Notify();
  }
  void OnDone(const grpc::Status& status) override {
    {
      std::lock_guard lock(mutex_);
      ended_ = status.ok() ? std::optional<Error>() : FromGrpc(status);
      done_ = true;
      Notify();
    }
    self_.reset();
  }

  // On the loop: the next message, or how the stream ended, or neither yet.
  enum class Took { kMessage, kEnd, kNothing };
  Took Take(grpc::ByteBuffer* into) {
    std::lock_guard lock(mutex_);
    if (!queue_.empty()) {
      into->Swap(&queue_.front());
      queue_.pop_front();
      if (!reading_ && holding_ && queue_.size() < kStreamQueueMessages) ReadMore();
      return Took::kMessage;
    }
    return done_ ? Took::kEnd : Took::kNothing;
  }
  const std::optional<Error>& ended() const { return ended_; }
  void MarkDone() { done_ = true; }
  void Cancel() {
    context.TryCancel();
    std::lock_guard lock(mutex_);
    canceled_ = true;
    if (!reading_) LetGo();
  }

  grpc::ClientContext context;
  grpc::ByteBuffer request;
  io::Event changed;  // the loop's own

  std::function<void()> on_finished;  // runs on the loop, once

 private:
  void ReadMore() {
    reading_ = true;
    StartRead(&inbound_);
  }
  void LetGo() {
    if (!std::exchange(holding_, false)) return;
    RemoveHold();
  }
  void Notify() {
    loop_.Post([self = self_, done = done_] {
      self->changed.Pulse();
      if (done && self->on_finished) std::exchange(self->on_finished, nullptr)();
    });
  }

  io::Loop& loop_;
  std::shared_ptr<StreamReactor> self_;
  grpc::ByteBuffer inbound_;
  std::mutex mutex_;
  std::deque<grpc::ByteBuffer> queue_;
  bool reading_ = true;
  bool holding_ = false;
  bool canceled_ = false;
  bool done_ = false;
  std::optional<Error> ended_;
};

class GrpcStream final : public ClientStream {
 public:
  GrpcStream(std::shared_ptr<StreamReactor> reactor, std::string what, std::string address)
      : reactor_(std::move(reactor)), what_(std::move(what)), address_(std::move(address)) {}
  ~GrpcStream() override { Cancel(); }

  io::Task<Result<bool>> Next(MessageLite& message, Deadline deadline) override {
    std::shared_ptr<StreamReactor> reactor = reactor_;
    for (;;) {
      grpc::ByteBuffer buffer;
      StreamReactor::Took took = reactor->Take(&buffer);
      if (took == StreamReactor::Took::kMessage) {
        if (!FromBuffer(&buffer, &message))
          co_return Fail(Code::kInternal, "{}: {} sent what is no answer", what_, address_);
        co_return true;
      }
      if (took == StreamReactor::Took::kEnd) {
        if (!reactor->ended()) co_return false;
        co_return Fail(WithAddress(*reactor->ended(), address_));
      }
      bool woken = co_await reactor->changed.Wait(deadline);
      if (!woken)
        co_return Fail(Code::kDeadlineExceeded, "{}: nothing came from {}", what_, address_);
    }
  }
  void Cancel() override {
    if (!std::exchange(canceled_, true)) reactor_->Cancel();
  }

 private:
  std::shared_ptr<StreamReactor> reactor_;
  std::string what_, address_;
  bool canceled_ = false;
};

class GrpcChannel final : public Channel, public std::enable_shared_from_this<GrpcChannel> {
 public:
  GrpcChannel(io::Loop& loop, std::string address, std::shared_ptr<grpc::Channel> channel,
              std::vector<std::pair<std::string, std::string>> metadata)
      : loop_(loop),
        address_(std::move(address)),
        metadata_(std::move(metadata)),
        stub_(std::move(channel)) {}

  io::Task<Status> Unary(const char* method, const MessageLite& request, MessageLite& response,
                         Deadline deadline) override {
    return Unary(method, request, response, deadline, nullptr);
  }

  io::Task<Status> Unary(const char* method, const MessageLite& request, MessageLite& response,
                         Deadline deadline, std::function<void()>* cancel) override {
    std::shared_ptr<GrpcChannel> keep = shared_from_this();
    std::optional<io::Gate::Pass> pass = gate_.Enter();
    if (!pass) co_return Fail(Code::kCanceled, "{}: the channel to {} is closed", method, address_);
    // gRPC rounds deadlines up, so a passed one could still be answered.
    if (deadline.Passed(loop_.Now()))
      co_return Fail(Code::kDeadlineExceeded, "{}: {} was not called", address_, method);
    auto state = std::make_shared<UnaryState>();
    SetDeadline(state->context, deadline);
    for (const auto& [name, value] : metadata_) state->context.AddMetadata(name, value);
    state->request = ToBuffer(request);
    auto place = active_.insert(active_.end(), &state->context);
    if (cancel != nullptr) *cancel = [state] { state->context.TryCancel(); };
    std::string path = method;
    UnaryAwaiter awaiter{stub_, path, state};
    co_await awaiter;
    if (cancel != nullptr) *cancel = nullptr;
    active_.erase(place);
    // A server's timer may be faster than ours, and not every server says why it ended the call.
    bool late =
        state->status.error_code() == grpc::StatusCode::CANCELLED && deadline.Passed(loop_.Now());
    if (late)
      co_return Fail(Code::kDeadlineExceeded, "{}: {} did not end in time", address_, method);
    if (!state->status.ok()) co_return Fail(WithAddress(FromGrpc(state->status), address_));
    if (!FromBuffer(&state->response, &response)) {
      co_return Fail(Code::kInternal, "{}: {} sent what is no answer", method, address_);
    }
    co_return Status();
  }

  std::unique_ptr<ClientStream> Stream(const char* method, const MessageLite& request,
                                       Deadline deadline) override {
    auto reactor = std::make_shared<StreamReactor>(loop_);
    std::optional<io::Gate::Pass> pass = gate_.Enter();
    if (!pass) {
      reactor->Refuse(
          Error(Code::kCanceled, fmt::format("{}: the channel to {} is closed", method, address_)));
      reactor->MarkDone();
    } else {
      SetDeadline(reactor->context, deadline);
      for (const auto& [name, value] : metadata_) reactor->context.AddMetadata(name, value);
      reactor->request = ToBuffer(request);
      auto place = streams_.insert(streams_.end(), reactor.get());
      auto held = std::make_shared<io::Gate::Pass>(std::move(*pass));
      reactor->on_finished = [self = shared_from_this(), place, held] {
        self->streams_.erase(place);
      };
      reactor->Begin(reactor, stub_, method);
    }
    return std::make_unique<GrpcStream>(reactor, method, address_);
  }

  io::Task<void> Close() override {
    std::shared_ptr<GrpcChannel> keep = shared_from_this();
    for (grpc::ClientContext* context : active_) context->TryCancel();
    for (StreamReactor* stream : streams_) stream->Cancel();
    // gRPC ends a cancelled call at once, so this wait is short although it has no deadline.
    bool closed = co_await gate_.Close(Deadline::Never());
    CHECK(closed);
  }
  const std::string& address() const override { return address_; }

 private:
  io::Loop& loop_;
  std::string address_;
  std::vector<std::pair<std::string, std::string>> metadata_;
  grpc::GenericStub stub_;
  io::Gate gate_;
  Active active_;
  std::list<StreamReactor*> streams_;
};

Result<std::shared_ptr<grpc::ChannelCredentials>> Credentials(const ChannelOptions& options) {
  if (!options.tls) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions tls;
  if (!options.ca_file.empty()) {
    ASSIGN_OR_RETURN(tls.pem_root_certs, ReadPem(options.ca_file));
  }
  if (!options.cert_file.empty()) {
    ASSIGN_OR_RETURN(tls.pem_cert_chain, ReadPem(options.cert_file));
    ASSIGN_OR_RETURN(tls.pem_private_key, ReadPem(options.key_file));
  }
  return grpc::SslCredentials(tls);
}

}  // namespace

Result<std::shared_ptr<Channel>> Channel::Open(io::Loop& loop, std::string address,
                                               const ChannelOptions& options) {
  PrepareGrpc();
  ASSIGN_OR_RETURN(std::shared_ptr<grpc::ChannelCredentials> credentials, Credentials(options));
  grpc::ChannelArguments arguments;
  static const bool asked = AskForProcessors();
  (void)asked;
  arguments.SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes_max));
  arguments.SetMaxSendMessageSize(-1);
  // A tablet that comes back must be seen at once, and gRPC's default waits up to two minutes.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  // 10 s is what Vitess's servers allow; a peer that vanished without a reset is noticed within 15
  // s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 5'000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  // A proxy from the environment is meant for the web, not for a cluster's inside.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  if (!options.server_name.empty()) arguments.SetSslTargetNameOverride(options.server_name);
  std::shared_ptr<grpc::Channel> channel =
      grpc::CreateCustomChannel(address, credentials, arguments);
  return std::make_shared<GrpcChannel>(loop, std::move(address), std::move(channel),
                                       options.metadata);
}

}  // namespace paceline::rpc
