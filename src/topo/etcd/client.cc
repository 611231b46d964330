#include "topo/etcd/client.h"

#include <functional>
#include <set>
#include <utility>

#include "etcd/rpc.grpc.pb.h"
#include "io/sync.h"
#include "topo/etcd/grpc_call.h"

namespace paceline::topo::etcd {
namespace {

constexpr Duration kRetryEvery = 50ms;
constexpr Duration kAttemptMin = 700ms;

struct Endpoint {
  std::string address;
  std::unique_ptr<etcdserverpb::KV::Stub> kv;
  std::unique_ptr<etcdserverpb::Lease::Stub> lease;
  std::unique_ptr<etcdserverpb::Watch::Stub> watch;
};

// The request was certainly never given to a server.
bool NeverSent(const grpc::Status& status) {
  if (status.error_code() != grpc::StatusCode::UNAVAILABLE) return false;
  const std::string& text = status.error_message();
  return text.find("failed to connect") != std::string::npos ||
         text.find("Failed to connect") != std::string::npos ||
         text.find("DNS resolution failed") != std::string::npos ||
         text.find("no leader") != std::string::npos;
}

KeyValue FromProto(const mvccpb::KeyValue& kv) {
  return {kv.key(), kv.value(), kv.create_revision(), kv.mod_revision(), kv.lease()};
}

// One request and one answer over the keep-alive stream.
struct KeepAliveCall final : grpc::ClientBidiReactor<etcdserverpb::LeaseKeepAliveRequest,
                                                     etcdserverpb::LeaseKeepAliveResponse> {
  KeepAliveCall(io::Loop& loop, Counter held) : call(loop), counter(std::move(held)) {}
  void OnReadDone(bool ok) override {
    answered = ok;
    StartWritesDone();
  }
  void OnDone(const grpc::Status& status) override {
    Counter held = counter;
    call.pending->Complete(answered ? grpc::Status::OK : status);
    self.reset();
    held->fetch_sub(1);
  }
  Call<etcdserverpb::LeaseKeepAliveResponse> call;
  etcdserverpb::LeaseKeepAliveRequest request;
  Counter counter;
  bool answered = false;
  std::shared_ptr<KeepAliveCall> self;  // while gRPC holds it
};

// The stream's own object; lives until gRPC is done with it. Fields marked [loop] are used there
// only.
class WatchReactor final
    : public grpc::ClientBidiReactor<etcdserverpb::WatchRequest, etcdserverpb::WatchResponse>,
      public std::enable_shared_from_this<WatchReactor> {
 public:
  WatchReactor(io::Loop& loop, Counter counter) : loop_(loop), counter_(std::move(counter)) {}

  void Start(etcdserverpb::Watch::Stub& stub, etcdserverpb::WatchRequest request) {
    request_ = std::move(request);
    self_ = shared_from_this();
    counter_->fetch_add(1);
    context.AddMetadata("hasleader",
                        "true");  // a member cut off from its leader must end the stream
    stub.async()->Watch(&context, this);
    AddHold();  // reads are started from the loop
    StartWrite(&request_);
    StartRead(&response_);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    auto self = shared_from_this();
    loop_.Post([self, ok] {
      self->readable = ok;
      self->failed |= !ok;
      self->news.Set();
      if (!ok || self->canceled) self->LetGo();
    });
  }
  void OnDone(const grpc::Status& status) override {
    Counter counter = counter_;
    auto self = std::move(self_);
    loop_.Post([self, status] {
      self->status = status;
      self->failed = true;
      self->news.Set();
    });
    self.reset();
    counter->fetch_sub(1);
  }
  // [loop]
  etcdserverpb::WatchResponse Take() {
    etcdserverpb::WatchResponse taken = std::move(response_);
    response_.Clear();
    readable = false;
    news.Reset();
    StartRead(&response_);
    return taken;
  }
  void Cancel() {
    if (std::exchange(canceled, true)) return;
    context.TryCancel();
    if (readable) LetGo();  // no read is out that would come back and do it
    news.Set();
  }
  void LetGo() {
    if (!std::exchange(let_go_, true)) RemoveHold();
  }

  grpc::ClientContext context;
  io::Event news;         // [loop]
  bool readable = false;  // [loop] a response waits in response_
  bool failed = false;    // [loop]
  bool canceled = false;  // [loop]
  grpc::Status status = grpc::Status(grpc::StatusCode::UNAVAILABLE, "the stream ended");  // [loop]

 private:
  io::Loop& loop_;
  Counter counter_;
  bool let_go_ = false;  // [loop]
  etcdserverpb::WatchRequest request_;
  etcdserverpb::WatchResponse response_;
  std::shared_ptr<WatchReactor> self_;
};

class Stream final : public WatchStream {
 public:
  Stream(std::shared_ptr<WatchReactor> reactor, std::string endpoint, std::function<void()> broke)
      : reactor_(std::move(reactor)), endpoint_(std::move(endpoint)), broke_(std::move(broke)) {}
  ~Stream() override { Cancel(); }
  void Cancel() override { reactor_->Cancel(); }
  io::Task<Result<WatchBatch>> Next() override {
    auto reactor = reactor_;
    for (;;) {
      if (reactor->canceled) co_return Fail(Code::kCanceled, "the watch was closed");
      if (reactor->readable) {
        etcdserverpb::WatchResponse response = reactor->Take();
        WatchBatch batch;
        batch.revision = response.header().revision();
        batch.compacted = response.compact_revision() != 0;
        if (response.canceled() && !batch.compacted) {
          broke_();
          co_return Fail(Code::kUnavailable, "etcd {} ended the watch: {}", endpoint_,
                         response.cancel_reason());
        }
        for (const mvccpb::Event& event : response.events()) {
          batch.events.push_back({event.type() == mvccpb::Event::DELETE, FromProto(event.kv())});
        }
        co_return batch;
      }
      if (reactor->failed) {
        broke_();
        co_return Fail(Code::kUnavailable, "etcd {}: {}", endpoint_,
                       reactor->status.error_message());
      }
      bool woken = co_await reactor->news.Wait(Deadline::Never());
      (void)woken;
    }
  }

 private:
  std::shared_ptr<WatchReactor> reactor_;
  std::string endpoint_;
  std::function<void()> broke_;
};

class GrpcClient final : public Client {
 public:
  GrpcClient(io::Loop& loop, std::vector<Endpoint> endpoints)
      : loop_(loop), endpoints_(std::make_shared<std::vector<Endpoint>>(std::move(endpoints))) {}

  // Tries endpoints until one answers or the deadline passes. `guarded`: applied at most once
  // however often it is sent.
  template <class Response, class Request>
  io::Task<Result<Response>> Invoke(std::function<void(Endpoint&, Call<Response>&, const Request&,
                                                       std::function<void(grpc::Status)>)>
                                        start,
                                    Request request, bool read, bool guarded, bool* unknown,
                                    Deadline deadline);

  io::Task<Result<RangeResult>> Range(RangeQuery query, Deadline deadline) override;
  io::Task<Result<WriteResult>> Put(std::string key, std::string value, int64_t guard,
                                    int64_t lease, Deadline deadline) override;
  io::Task<Result<WriteResult>> Delete(std::string key, int64_t guard, Deadline deadline) override;
  io::Task<Result<WriteResult>> Txn(etcdserverpb::TxnRequest request, bool guarded, std::string key,
                                    Deadline deadline);
  io::Task<Result<int64_t>> Grant(int64_t ttl_s, Deadline deadline) override;
  io::Task<Status> KeepAlive(int64_t lease, Deadline deadline) override;
  io::Task<Status> Revoke(int64_t lease, Deadline deadline) override;
  io::Task<Status> Compact(int64_t revision, Deadline deadline) override;
  std::shared_ptr<WatchStream> Watch(std::string key, std::string end, int64_t revision) override;
  uint64_t cluster_id() const override { return cluster_id_; }
  io::Task<void> Stop() override;

 private:
  Endpoint& Current() { return (*endpoints_)[*current_ % endpoints_->size()]; }
  // Only when nobody else has moved on already.
  void MoveOn(size_t from) {
    if (*current_ == from) ++*current_;
  }
  io::Loop& loop_;
  std::shared_ptr<std::vector<Endpoint>> endpoints_;
  std::shared_ptr<size_t> current_ = std::make_shared<size_t>(0);
  Counter held_ = std::make_shared<std::atomic<int>>(0);
  io::Gate gate_;
  std::set<grpc::ClientContext*> running_;
  uint64_t cluster_id_ = 0;
};

template <class Response, class Request>
io::Task<Result<Response>> GrpcClient::Invoke(
    std::function<void(Endpoint&, Call<Response>&, const Request&,
                       std::function<void(grpc::Status)>)>
        start,
    Request request, bool read, bool guarded, bool* unknown, Deadline deadline) {
  auto pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  Error last(Code::kUnavailable, "etcd: the deadline had passed before the call");
  while (!deadline.Passed(loop_.Now())) {
    size_t index = *current_;
    Endpoint& endpoint = Current();
    Duration left = deadline.Left(loop_.Now());
    // A silent endpoint must not eat the whole deadline when there are others.
    auto share = static_cast<int64_t>(endpoints_->size());
    if ((read || guarded) && share > 1)
      left = std::min(left, std::max<Duration>(kAttemptMin, left / (share + 1)));
    auto call = std::make_shared<Call<Response>>(loop_);
    SetDeadline(call->context, left);
    held_->fetch_add(1);
    running_.insert(&call->context);
    std::function<void(grpc::Status)> done = [call, held = held_](grpc::Status status) {
      call->pending->Complete(std::move(status));
      held->fetch_sub(1);
    };
    start(endpoint, *call, request, std::move(done));
    // gRPC ends it by the deadline above; waiting for that keeps its memory ours to give.
    std::optional<grpc::Status> status = co_await call->pending->Wait(Deadline::Never());
    running_.erase(&call->context);
    if (status->ok()) co_return std::move(call->response);
    last = ToError(*status, endpoint.address);
    if (!WorthAnotherEndpoint(*status)) co_return Fail(last);
    MoveOn(index);
    if (gate_.closed()) co_return Fail(Code::kCanceled, "the topology connection was stopped");
    if (!NeverSent(*status)) {
      if (unknown != nullptr) *unknown = true;
      if (!read && !guarded) co_return Fail(last);
    }
    Deadline again = Deadline::At(loop_.Now() + kRetryEvery).EarlierOf(deadline);
    bool open = co_await io::Sleep(gate_, again);
    if (!open) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  }
  co_return Fail(last);
}

io::Task<Result<RangeResult>> GrpcClient::Range(RangeQuery query, Deadline deadline) {
  etcdserverpb::RangeRequest request;
  request.set_key(query.key);
  request.set_range_end(query.end);
  request.set_keys_only(query.keys_only);
  request.set_limit(query.limit);
  request.set_max_mod_revision(query.max_mod_revision);
  request.set_sort_order(etcdserverpb::RangeRequest::ASCEND);
  request.set_sort_target(query.by_mod_revision ? etcdserverpb::RangeRequest::MOD
                                                : etcdserverpb::RangeRequest::KEY);
  std::function<void(Endpoint&, Call<etcdserverpb::RangeResponse>&,
                     const etcdserverpb::RangeRequest&, std::function<void(grpc::Status)>)>
      start = [](Endpoint& endpoint, auto& call, const auto& req, auto done) {
        endpoint.kv->async()->Range(&call.context, &req, &call.response, std::move(done));
      };
  Result<etcdserverpb::RangeResponse> response =
      co_await Invoke<etcdserverpb::RangeResponse>(start, request, true, false, nullptr, deadline);
  if (!response) co_return Fail(response.error());
  RangeResult result;
  result.revision = response->header().revision();
  result.cluster_id = cluster_id_ = response->header().cluster_id();
  for (const mvccpb::KeyValue& kv : response->kvs()) result.keys.push_back(FromProto(kv));
  co_return result;
}

io::Task<Result<WriteResult>> GrpcClient::Txn(etcdserverpb::TxnRequest request, bool guarded,
                                              std::string key, Deadline deadline) {
  std::function<void(Endpoint&, Call<etcdserverpb::TxnResponse>&, const etcdserverpb::TxnRequest&,
                     std::function<void(grpc::Status)>)>
      start = [](Endpoint& endpoint, auto& call, const auto& req, auto done) {
        endpoint.kv->async()->Txn(&call.context, &req, &call.response, std::move(done));
      };
  bool unknown = false;
  Result<etcdserverpb::TxnResponse> response = co_await Invoke<etcdserverpb::TxnResponse>(
      start, request, false, guarded, &unknown, deadline);
  if (!response) co_return Fail(response.error());
  cluster_id_ = response->header().cluster_id();
  WriteResult result;
  result.done = response->succeeded();
  result.revision = response->header().revision();
  // The guard may have failed because an earlier attempt of ours got through.
  if (!result.done && unknown) {
    co_return Fail(Code::kUnavailable,
                   "etcd: an attempt to write {} had no answer: its outcome is unknown", key);
  }
  for (const auto& operation : response->responses()) {
    if (operation.has_response_delete_range())
      result.deleted = operation.response_delete_range().deleted();
  }
  co_return result;
}

namespace {
void AddGuard(etcdserverpb::TxnRequest& request, const std::string& key, int64_t guard) {
  if (guard == kAnything) return;
  etcdserverpb::Compare* compare = request.add_compare();
  compare->set_key(key);
  compare->set_result(etcdserverpb::Compare::EQUAL);
  compare->set_target(etcdserverpb::Compare::MOD);
  compare->set_mod_revision(guard);  // zero: the key is not there
}
}  // namespace

io::Task<Result<WriteResult>> GrpcClient::Put(std::string key, std::string value, int64_t guard,
                                              int64_t lease, Deadline deadline) {
  etcdserverpb::TxnRequest request;
  AddGuard(request, key, guard);
  etcdserverpb::PutRequest* put = request.add_success()->mutable_request_put();
  put->set_key(key);
  put->set_value(std::move(value));
  put->set_lease(lease);
  bool guarded = guard != kAnything;
  Result<WriteResult> result = co_await Txn(request, guarded, key, deadline);
  co_return result;
}

io::Task<Result<WriteResult>> GrpcClient::Delete(std::string key, int64_t guard,
                                                 Deadline deadline) {
  etcdserverpb::TxnRequest request;
  AddGuard(request, key, guard);
  request.add_success()->mutable_request_delete_range()->set_key(key);
  bool guarded = guard != kAnything;
  Result<WriteResult> result = co_await Txn(request, guarded, key, deadline);
  co_return result;
}

io::Task<Result<int64_t>> GrpcClient::Grant(int64_t ttl_s, Deadline deadline) {
  etcdserverpb::LeaseGrantRequest request;
  request.set_ttl(ttl_s);
  std::function<void(Endpoint&, Call<etcdserverpb::LeaseGrantResponse>&,
                     const etcdserverpb::LeaseGrantRequest&, std::function<void(grpc::Status)>)>
      start = [](Endpoint& endpoint, auto& call, const auto& req, auto done) {
        endpoint.lease->async()->LeaseGrant(&call.context, &req, &call.response, std::move(done));
      };
  // A grant that nobody knows of runs out by itself, so it may be tried again like a read.
  Result<etcdserverpb::LeaseGrantResponse> response =
      co_await Invoke<etcdserverpb::LeaseGrantResponse>(start, request, true, false, nullptr,
                                                        deadline);
  if (!response) co_return Fail(response.error());
  if (!response->error().empty())
    co_return Fail(Code::kUnavailable, "etcd grants no lease: {}", response->error());
  co_return response->id();
}

io::Task<Status> GrpcClient::KeepAlive(int64_t lease, Deadline deadline) {
  etcdserverpb::LeaseKeepAliveRequest request;
  request.set_id(lease);
  auto pass = gate_.Enter();
  if (!pass) co_return Fail(Code::kCanceled, "the topology connection was stopped");
  size_t index = *current_;
  Endpoint& endpoint = Current();
  auto reactor = std::make_shared<KeepAliveCall>(loop_, held_);
  reactor->self = reactor;
  reactor->request = request;
  SetDeadline(reactor->call.context, deadline.Left(loop_.Now()));
  held_->fetch_add(1);
  running_.insert(&reactor->call.context);
  endpoint.lease->async()->LeaseKeepAlive(&reactor->call.context, reactor.get());
  reactor->StartWrite(&reactor->request);
  reactor->StartRead(&reactor->call.response);
  reactor->StartCall();
  std::optional<grpc::Status> status = co_await reactor->call.pending->Wait(Deadline::Never());
  running_.erase(&reactor->call.context);
  if (!status->ok()) {
    MoveOn(index);
    co_return Fail(ToError(*status, endpoint.address));
  }
  if (reactor->call.response.ttl() <= 0)
    co_return Fail(Code::kNotFound, "etcd lease {} ran out", lease);
  co_return Status();
}

io::Task<Status> GrpcClient::Revoke(int64_t lease, Deadline deadline) {
  etcdserverpb::LeaseRevokeRequest request;
  request.set_id(lease);
  std::function<void(Endpoint&, Call<etcdserverpb::LeaseRevokeResponse>&,
                     const etcdserverpb::LeaseRevokeRequest&, std::function<void(grpc::Status)>)>
      start = [](Endpoint& endpoint, auto& call, const auto& req, auto done) {
        endpoint.lease->async()->LeaseRevoke(&call.context, &req, &call.response, std::move(done));
      };
  bool unknown = false;
  Result<etcdserverpb::LeaseRevokeResponse> response =
      co_await Invoke<etcdserverpb::LeaseRevokeResponse>(start, request, false, true, &unknown,
                                                         deadline);
  if (response) co_return Status();
  // Gone already by an attempt of ours that had no answer.
  if (unknown && response.error().code() == Code::kNotFound) co_return Status();
  co_return Fail(response.error());
}

io::Task<Status> GrpcClient::Compact(int64_t revision, Deadline deadline) {
  etcdserverpb::CompactionRequest request;
  request.set_revision(revision);
  std::function<void(Endpoint&, Call<etcdserverpb::CompactionResponse>&,
                     const etcdserverpb::CompactionRequest&, std::function<void(grpc::Status)>)>
      start = [](Endpoint& endpoint, auto& call, const auto& req, auto done) {
        endpoint.kv->async()->Compact(&call.context, &req, &call.response, std::move(done));
      };
  Result<etcdserverpb::CompactionResponse> response =
      co_await Invoke<etcdserverpb::CompactionResponse>(start, request, true, false, nullptr,
                                                        deadline);
  if (!response) co_return Fail(response.error());
  co_return Status();
}

std::shared_ptr<WatchStream> GrpcClient::Watch(std::string key, std::string end, int64_t revision) {
  etcdserverpb::WatchRequest request;
  etcdserverpb::WatchCreateRequest* create = request.mutable_create_request();
  create->set_key(std::move(key));
  create->set_range_end(std::move(end));
  create->set_start_revision(revision);
  auto reactor = std::make_shared<WatchReactor>(loop_, held_);
  std::function<void()> broke = [current = current_, index = *current_] {
    if (*current == index) ++*current;
  };
  std::string address = Current().address;
  reactor->Start(*Current().watch, std::move(request));
  return std::make_shared<Stream>(std::move(reactor), std::move(address), std::move(broke));
}

io::Task<void> GrpcClient::Stop() {
  for (grpc::ClientContext* context : running_) context->TryCancel();
  bool left = co_await gate_.Close(Deadline::Never());
  (void)left;
  co_await WaitForNone(loop_, held_);
}

}  // namespace

Result<std::unique_ptr<Client>> Client::Make(io::Loop& loop, const EtcdOptions& options) {
  ASSIGN_OR_RETURN(std::vector<EndpointChannel> channels, MakeChannels(options));
  std::vector<Endpoint> endpoints;
  for (EndpointChannel& one : channels) {
    endpoints.push_back({std::move(one.address), etcdserverpb::KV::NewStub(one.channel),
                         etcdserverpb::Lease::NewStub(one.channel),
                         etcdserverpb::Watch::NewStub(one.channel)});
  }
  return std::unique_ptr<Client>(std::make_unique<GrpcClient>(loop, std::move(endpoints)));
}

}  // namespace paceline::topo::etcd
