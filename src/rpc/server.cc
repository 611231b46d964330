#include "rpc/server.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <atomic>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/base64.h"
#include "base/check.h"
#include "base/metrics.h"
#include "io/blocking.h"
#include "io/sync.h"
#include "rpc/grpc_glue.h"
#include "rpc/pem.h"

namespace paceline::rpc {
namespace {

// Calls that ended, by method and gRPC's code.
MetricFamily<Counter>& Handled() {
  static MetricFamily<Counter>& handled = Metrics::Process().AddCounters(
      "GrpcServerHandled", "calls that this process answered", {"Method", "Code"});
  return handled;
}

struct Route {
  Route(io::Loop* on, MethodSpec spec) : loop(on), method(std::move(spec)) {}
  io::Loop* loop;
  MethodSpec method;

  void Count(grpc::StatusCode code) const {
    if (code != grpc::StatusCode::OK) {
      const std::string name(CodeName(static_cast<Code>(code)));
      return Handled().With({method.path, name}).Add();
    }
    Counter* counter = ok.load(std::memory_order_relaxed);
    if (counter == nullptr) {
      counter = &Handled().With({method.path, "OK"});
      ok.store(counter, std::memory_order_relaxed);
    }
    counter->Add();
  }
  mutable std::atomic<Counter*> ok{nullptr};
};

// How many handlers run, for Shutdown. Outlives the server when a handler does.
struct Running {
  std::mutex mutex;
  std::condition_variable none;
  size_t count = 0;

  void Enter() {
    std::lock_guard lock(mutex);
    ++count;
  }
  void Leave() {
    std::lock_guard lock(mutex);
    if (--count == 0) none.notify_all();
  }
};

Deadline DeadlineOf(const grpc::GenericCallbackServerContext& context, const ServerOptions& options,
                    bool unary) {
  gpr_timespec at = context.raw_deadline();
  if (gpr_time_cmp(at, gpr_inf_future(at.clock_type)) == 0) {
    return unary ? Deadline::In(options.longest_call) : Deadline::Never();
  }
  gpr_timespec left = gpr_time_sub(at, gpr_now(at.clock_type));
  return Deadline::In(std::chrono::seconds(left.tv_sec) + std::chrono::nanoseconds(left.tv_nsec));
}

struct Credentials {
  std::string authorization, certificate;
};

std::string Metadata(const grpc::GenericCallbackServerContext& context, const char* name) {
  const auto found = context.client_metadata().find(name);
  if (found == context.client_metadata().end()) return "";
  return {found->second.data(), found->second.size()};
}

// What the caller shows; also as Vitess's clients do, whose static credentials come as two entries.
Credentials CredentialsOf(const grpc::GenericCallbackServerContext& context) {
  Credentials credentials;
  credentials.authorization = Metadata(context, "authorization");
  if (credentials.authorization.empty()) {
    const std::string password = Metadata(context, "password");
    if (!password.empty()) {
      credentials.authorization =
          "Basic " + Base64Encode(Metadata(context, "username") + ":" + password);
    }
  }
  const auto auth = context.auth_context();
  if (auth != nullptr && auth->IsPeerAuthenticated()) {
    const auto names = auth->FindPropertyValues(GRPC_X509_CN_PROPERTY_NAME);
    if (!names.empty()) credentials.certificate = {names[0].data(), names[0].size()};
  }
  return credentials;
}

// One call. gRPC's threads enter by the On... reactions, the loop by the ServerCall interface; what
// both touch is under mutex_. It lives until gRPC is done with it (self_) and the handler has ended
// (the coroutine's reference).
class Call final : public grpc::ServerGenericBidiReactor, public ServerCall {
 public:
  Call(const Route& route, std::shared_ptr<Running> running, Deadline deadline, std::string peer,
       const ServerOptions& options, Credentials credentials)
      : route_(route),
        running_(std::move(running)),
        deadline_(deadline),
        peer_(std::move(peer)),
        options_(options),
        credentials_(std::move(credentials)) {}

  void Begin(std::shared_ptr<Call> self) {
    self_ = std::move(self);
    StartRead(&inbound_);
  }

  // Reactions, on gRPC's threads.
  void OnReadDone(bool ok) override {
    request_.reset(route_.method.request->New());
    if (!ok || !FromBuffer(&inbound_, request_.get())) {
      FinishWith(ToGrpc(
          Error(Code::kInvalidArgument, route_.method.path + ": the request cannot be read")));
      return;
    }
    if (options_.guard != nullptr) {
      Status admitted = Admit();
      if (!admitted) return FinishWith(ToGrpc(admitted.error()));
    }
    running_->Enter();
    route_.loop->Post([call = self_] { io::Detach(Run(call)); });
  }
  void OnWriteDone(bool ok) override {
    std::lock_guard lock(mutex_);
    writing_ = false;
    queued_bytes_ -= queue_.front().Length();
    queue_.pop_front();
    if (!ok) queue_.clear(), queued_bytes_ = 0;
    if (!queue_.empty()) {
      writing_ = true;
      StartWrite(&queue_.front());
    } else if (final_) {
      Finish(*final_);
    }
    if (waiting_for_room_ && queued_bytes_ <= kStreamQueueBytes / 2) {
      waiting_for_room_ = false;
      route_.loop->Post([call = self_] { call->changed_.Pulse(); });
    }
  }
  void OnCancel() override {
    // The client's deadline or will: end the call at once, so that a slow handler holds no
    // connection. gRPC tells neither from the other, and its timer may be early by its rounding.
    bool late = deadline_.Passed(SystemClock().Now() + std::chrono::milliseconds(20));
    FinishWith(late
                   ? grpc::Status(grpc::StatusCode::DEADLINE_EXCEEDED, "the call's deadline passed")
                   : grpc::Status(grpc::StatusCode::CANCELLED, "the call was cancelled"));
    route_.loop->Post([call = self_] {
      call->canceled_ = true;
      call->changed_.Pulse();
      if (call->on_cancel_) std::exchange(call->on_cancel_, nullptr)();
    });
  }
  void OnDone() override { self_.reset(); }

  // ServerCall, on the loop.
  Deadline deadline() const override { return deadline_; }
  const std::string& peer() const override { return peer_; }
  bool canceled() const override { return canceled_; }
  void OnCancel(std::function<void()> handler) override {
    if (canceled_) return handler();
    on_cancel_ = std::move(handler);
  }
  bool TrySend(const MessageLite& message) override {
    if (canceled_) return false;
    std::lock_guard lock(mutex_);
    if (final_ || queued_bytes_ > kStreamQueueBytes) return false;
    Enqueue(ToBuffer(message));
    return true;
  }
  io::Task<Status> Send(const MessageLite& message) override {
    grpc::ByteBuffer buffer = ToBuffer(message);
    for (;;) {
      Room room = TryEnqueue(&buffer);
      if (room == Room::kOver)
        co_return Fail(Code::kCanceled, "{}: the client {} has gone", route_.method.path, peer_);
      if (room == Room::kTaken) co_return Status();
      bool woken = co_await changed_.Wait(deadline_);
      if (!woken)
        co_return Fail(Code::kDeadlineExceeded, "{}: the client {} reads too slowly",
                       route_.method.path, peer_);
    }
  }
  io::Task<void> WaitCanceled() override {
    while (!canceled_) {
      bool woken = co_await changed_.Wait(deadline_);
      if (!woken) break;
    }
  }

 private:
  Status Admit() {
    access::Request asked = options_.describe(route_.method.path, *request_);
    asked.peer = peer_;
    asked.authorization = credentials_.authorization;
    asked.certificate = credentials_.certificate;
    ASSIGN_OR_RETURN(access::Caller caller, options_.guard->Admit(asked));
    std::lock_guard lock(mutex_);
    admitted_ = {std::move(asked), std::move(caller)};
    return {};
  }
  static io::Task<void> Run(std::shared_ptr<Call> call) {
    const MethodSpec& method = call->route_.method;
    Status status;
    if (method.unary) {
      std::unique_ptr<MessageLite> response(method.response->New());
      status = co_await method.unary(*call, *call->request_, *response);
      if (status) call->FinishWith(grpc::Status::OK, ToBuffer(*response));
    } else {
      status = co_await method.stream(*call, *call->request_);
      if (status) call->FinishWith(grpc::Status::OK);
    }
    if (!status) call->FinishWith(ToGrpc(status.error()));
    call->on_cancel_ = nullptr;
    call->running_->Leave();
  }

  enum class Room : uint8_t { kTaken, kFull, kOver };
  Room TryEnqueue(grpc::ByteBuffer* buffer) {
    std::lock_guard lock(mutex_);
    if (final_) return Room::kOver;
    if (queued_bytes_ <= kStreamQueueBytes) {
      Enqueue(std::move(*buffer));
      return Room::kTaken;
    }
    waiting_for_room_ = true;
    return Room::kFull;
  }
  // REQUIRES: mutex_ held.
  void Enqueue(grpc::ByteBuffer buffer) {
    queued_bytes_ += buffer.Length();
    queue_.push_back(std::move(buffer));
    if (writing_) return;
    writing_ = true;
    StartWrite(&queue_.front());
  }
  // The first of several ends counts. What is queued goes out before it.
  void FinishWith(grpc::Status status, std::optional<grpc::ByteBuffer> last = std::nullopt) {
    std::lock_guard lock(mutex_);
    if (final_) return;
    final_ = std::move(status);
    route_.Count(final_->error_code());
    if (admitted_) {
      Status result;
      if (!final_->ok()) result = Fail(FromGrpc(*final_));
      options_.guard->Done(admitted_->first, admitted_->second, result);
    }
    if (last) {
      queue_.push_back(std::move(*last));
      StartWriteAndFinish(&queue_.front(), grpc::WriteOptions(), *final_);
    } else if (!writing_) {
      Finish(*final_);
    }
  }

  const Route& route_;
  const std::shared_ptr<Running> running_;
  const Deadline deadline_;
  const std::string peer_;
  const ServerOptions& options_;
  const Credentials credentials_;
  std::optional<std::pair<access::Request, access::Caller>> admitted_;
  std::shared_ptr<Call> self_;
  grpc::ByteBuffer inbound_;
  std::unique_ptr<MessageLite> request_;

  std::mutex mutex_;
  std::deque<grpc::ByteBuffer> queue_;  // the front one is being written while writing_
  size_t queued_bytes_ = 0;
  bool writing_ = false;
  bool waiting_for_room_ = false;
  std::optional<grpc::Status> final_;

  // The loop's own.
  bool canceled_ = false;
  std::function<void()> on_cancel_;
  io::Event changed_;
};

class Refusal final : public grpc::ServerGenericBidiReactor {
 public:
  explicit Refusal(const grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

struct Server::Impl final : grpc::CallbackGenericService {
  std::unordered_map<std::string, std::unique_ptr<Route>> routes;
  std::shared_ptr<Running> running = std::make_shared<Running>();
  ServerOptions options;
  int port = 0;
  std::unique_ptr<grpc::Server> server;

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    auto found = routes.find(context->method());
    if (found == routes.end()) {
      return new Refusal(
          ToGrpc(Error(Code::kUnimplemented, context->method() + " is not offered here")));
    }
    const Route& route = *found->second;
    Deadline deadline = DeadlineOf(*context, options, route.method.unary != nullptr);
    Credentials credentials;
    if (options.guard != nullptr) credentials = CredentialsOf(*context);
    auto call = std::make_shared<Call>(route, running, deadline, context->peer(), options,
                                       std::move(credentials));
    call->Begin(call);
    return call.get();
  }
};

Server::Server() : impl_(std::make_shared<Impl>()) {}
Server::~Server() {
  CHECK_MSG(impl_->server == nullptr, "an rpc::Server was destroyed before Shutdown");
}

void Server::Add(io::Loop& loop, MethodSpec method) {
  CHECK(impl_->server == nullptr);
  CHECK_MSG(method.unary ? method.response != nullptr : method.stream != nullptr, method.path);
  std::string path = method.path;
  bool added =
      impl_->routes.emplace(path, std::make_unique<Route>(&loop, std::move(method))).second;
  CHECK_MSG(added, path);
}

Status Server::Start(const ServerOptions& options) {
  PrepareGrpc();
  impl_->options = options;
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (!options.cert_file.empty()) {
    grpc::SslServerCredentialsOptions tls(
        options.client_ca_file.empty()
            ? GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
            : GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    grpc::SslServerCredentialsOptions::PemKeyCertPair pair;
    ASSIGN_OR_RETURN(pair.private_key, ReadPem(options.key_file));
    ASSIGN_OR_RETURN(pair.cert_chain, ReadPem(options.cert_file));
    tls.pem_key_cert_pairs.push_back(std::move(pair));
    if (!options.client_ca_file.empty()) {
      ASSIGN_OR_RETURN(tls.pem_root_certs, ReadPem(options.client_ca_file));
    }
    credentials = grpc::SslServerCredentials(tls);
  }
  grpc::ServerBuilder builder;
  std::string address =
      options.address.starts_with(':') ? "[::]" + options.address : options.address;
  builder.AddListeningPort(address, credentials, &impl_->port);
  builder.RegisterCallbackGenericService(impl_.get());
  builder.SetMaxReceiveMessageSize(static_cast<int>(options.message_bytes_max));
  builder.SetMaxSendMessageSize(-1);
  // Without this a second process on the same port would silently take half of the calls.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  // Clients of Vitess ping every 10 s, also when idle; gRPC's default would send them away.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  impl_->server = builder.BuildAndStart();
  if (impl_->server == nullptr || impl_->port == 0) {
    if (impl_->server != nullptr) impl_->server->Shutdown();
    impl_->server.reset();
    return Fail(Code::kAlreadyExists,
                "cannot serve gRPC on {}: the address is taken, not this machine's, or its "
                "certificates do not fit",
                options.address);
  }
  return Status();
}

uint16_t Server::port() const { return static_cast<uint16_t>(impl_->port); }

Status Server::ShutdownBlocking(Deadline deadline) {
  if (impl_->server == nullptr) return Status();
  Duration left = deadline.Left(SystemClock().Now());
  if (left > std::chrono::hours(1)) left = std::chrono::hours(1);
  impl_->server->Shutdown(gpr_time_from_nanos(left.count(), GPR_TIMESPAN));
  impl_->server.reset();
  Running& running = *impl_->running;
  std::unique_lock lock(running.mutex);
  if (running.none.wait_for(lock, kGrace, [&] { return running.count == 0; })) return Status();
  return Fail(Code::kDeadlineExceeded, "{} gRPC calls to port {} still run after their end",
              running.count, impl_->port);
}

io::Task<Status> Server::Shutdown(Deadline deadline) {
  std::function<Status()> work = [this, deadline] { return ShutdownBlocking(deadline); };
  Status status = co_await io::RunBlocking<Status>(std::move(work));
  co_return status;
}

}  // namespace paceline::rpc
