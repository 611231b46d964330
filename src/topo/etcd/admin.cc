#include "topo/etcd/admin.h"

#include <cstdio>
#include <functional>
#include <set>
#include <utility>

#include "etcd/rpc.grpc.pb.h"
#include "io/sync.h"
#include "topo/etcd/grpc_call.h"

namespace paceline::topo::etcd {
namespace {

// Writes what the server streams. gRPC's thread does nothing but write.
class SnapshotReader final : public grpc::ClientReadReactor<etcdserverpb::SnapshotResponse> {
 public:
  SnapshotReader(io::Loop& loop, Counter held, std::FILE* out)
      : call(loop), held_(std::move(held)), out_(out) {}
  void Start(etcdserverpb::Maintenance::Stub& stub, std::shared_ptr<SnapshotReader> self) {
    self_ = std::move(self);
    held_->fetch_add(1);
    stub.async()->Snapshot(&call.context, &request_, this);
    StartRead(&call.response);
    StartCall();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    const std::string& blob = call.response.blob();
    written_ = written_ && std::fwrite(blob.data(), 1, blob.size(), out_) == blob.size();
    StartRead(&call.response);
  }
  void OnDone(const grpc::Status& status) override {
    written_ = std::fflush(out_) == 0 && written_;
    bool failed = status.ok() && !written_;
    call.pending->Complete(failed ? grpc::Status(grpc::StatusCode::INTERNAL, "cannot write it")
                                  : status);
    Counter held = held_;
    self_.reset();
    held->fetch_sub(1);
  }
  Call<etcdserverpb::SnapshotResponse> call;

 private:
  Counter held_;
  std::FILE* out_;
  bool written_ = true;
  etcdserverpb::SnapshotRequest request_;
  std::shared_ptr<SnapshotReader> self_;  // while gRPC holds it
};

Member FromProto(const etcdserverpb::Member& member) {
  return {member.id(),
          member.name(),
          {member.peerurls().begin(), member.peerurls().end()},
          member.islearner()};
}

class GrpcAdmin final : public Admin {
 public:
  GrpcAdmin(io::Loop& loop, EndpointChannel channel)
      : loop_(loop),
        address_(std::move(channel.address)),
        kv_(etcdserverpb::KV::NewStub(channel.channel)),
        cluster_(etcdserverpb::Cluster::NewStub(channel.channel)),
        maintenance_(etcdserverpb::Maintenance::NewStub(channel.channel)) {}

  io::Task<Result<ServerStatus>> Status(Deadline deadline) override {
    etcdserverpb::StatusRequest request;
    Start<etcdserverpb::StatusRequest, etcdserverpb::StatusResponse> start =
        [this](auto* context, auto* in, auto* out, auto done) {
          maintenance_->async()->Status(context, in, out, std::move(done));
        };
    auto response = co_await Invoke<etcdserverpb::StatusRequest, etcdserverpb::StatusResponse>(
        request, start, deadline);
    if (!response) co_return Fail(response.error());
    co_return ServerStatus{response->header().cluster_id(), response->header().member_id(),
                           response->leader() != 0,         response->islearner(),
                           response->header().revision(),   response->version()};
  }

  io::Task<Result<Membership>> Members(Deadline deadline) override {
    // Linearizable, so only a server with a quorum answers; 3.4 lists its members without one.
    etcdserverpb::RangeRequest any;
    any.set_key("paceline/quorum");
    any.set_count_only(true);
    Start<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse> range =
        [this](auto* context, auto* in, auto* out, auto done) {
          kv_->async()->Range(context, in, out, std::move(done));
        };
    auto alive = co_await Invoke<etcdserverpb::RangeRequest, etcdserverpb::RangeResponse>(
        any, range, deadline);
    if (!alive) co_return Fail(alive.error());
    etcdserverpb::MemberListRequest request;
    request.set_linearizable(true);
    Start<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse> list =
        [this](auto* context, auto* in, auto* out, auto done) {
          cluster_->async()->MemberList(context, in, out, std::move(done));
        };
    auto response =
        co_await Invoke<etcdserverpb::MemberListRequest, etcdserverpb::MemberListResponse>(
            request, list, deadline);
    if (!response) co_return Fail(response.error());
    Membership membership;
    membership.cluster_id = response->header().cluster_id();
    for (const etcdserverpb::Member& member : response->members())
      membership.members.push_back(FromProto(member));
    co_return membership;
  }

  io::Task<Result<Member>> AddLearner(std::string peer_url, Deadline deadline) override {
    etcdserverpb::MemberAddRequest request;
    request.add_peerurls(std::move(peer_url));
    request.set_islearner(true);
    Start<etcdserverpb::MemberAddRequest, etcdserverpb::MemberAddResponse> add =
        [this](auto* context, auto* in, auto* out, auto done) {
          cluster_->async()->MemberAdd(context, in, out, std::move(done));
        };
    auto response =
        co_await Invoke<etcdserverpb::MemberAddRequest, etcdserverpb::MemberAddResponse>(
            request, add, deadline);
    if (!response) co_return Fail(response.error());
    co_return FromProto(response->member());
  }

  io::Task<paceline::Status> Promote(uint64_t member, Deadline deadline) override {
    etcdserverpb::MemberPromoteRequest request;
    request.set_id(member);
    Start<etcdserverpb::MemberPromoteRequest, etcdserverpb::MemberPromoteResponse> promote =
        [this](auto* context, auto* in, auto* out, auto done) {
          cluster_->async()->MemberPromote(context, in, out, std::move(done));
        };
    auto response =
        co_await Invoke<etcdserverpb::MemberPromoteRequest, etcdserverpb::MemberPromoteResponse>(
            request, promote, deadline);
    if (!response) co_return Fail(response.error());
    co_return paceline::Status();
  }

  io::Task<paceline::Status> Remove(uint64_t member, Deadline deadline) override {
    etcdserverpb::MemberRemoveRequest request;
    request.set_id(member);
    Start<etcdserverpb::MemberRemoveRequest, etcdserverpb::MemberRemoveResponse> remove =
        [this](auto* context, auto* in, auto* out, auto done) {
          cluster_->async()->MemberRemove(context, in, out, std::move(done));
        };
    auto response =
        co_await Invoke<etcdserverpb::MemberRemoveRequest, etcdserverpb::MemberRemoveResponse>(
            request, remove, deadline);
    if (!response) co_return Fail(response.error());
    co_return paceline::Status();
  }

  io::Task<paceline::Status> Snapshot(std::string file, Deadline deadline) override {
    auto pass = gate_.Enter();
    if (!pass) co_return Fail(Code::kCanceled, "etcd {}: stopped", address_);
    std::FILE* out = std::fopen(file.c_str(), "wbe");
    if (out == nullptr) co_return Fail(Code::kPermissionDenied, "cannot write {}", file);
    auto reader = std::make_shared<SnapshotReader>(loop_, held_, out);
    SetDeadline(reader->call.context, deadline.Left(loop_.Now()));
    running_.insert(&reader->call.context);
    reader->Start(*maintenance_, reader);
    std::optional<grpc::Status> status = co_await reader->call.pending->Wait(Deadline::Never());
    running_.erase(&reader->call.context);
    std::fclose(out);
    if (!status->ok()) co_return Fail(ToError(*status, address_));
    co_return paceline::Status();
  }

  io::Task<void> Stop() override {
    for (grpc::ClientContext* context : running_) context->TryCancel();
    bool left = co_await gate_.Close(Deadline::Never());
    (void)left;
    co_await WaitForNone(loop_, held_);
  }

 private:
  template <class Request, class Response>
  using Start = std::function<void(grpc::ClientContext*, const Request*, Response*,
                                   std::function<void(grpc::Status)>)>;

  template <class Request, class Response>
  io::Task<Result<Response>> Invoke(Request request, Start<Request, Response> start,
                                    Deadline deadline) {
    auto pass = gate_.Enter();
    if (!pass) co_return Fail(Code::kCanceled, "etcd {}: stopped", address_);
    auto call = std::make_shared<Call<Response>>(loop_);
    SetDeadline(call->context, deadline.Left(loop_.Now()));
    held_->fetch_add(1);
    running_.insert(&call->context);
    std::function<void(grpc::Status)> done = [call, held = held_](grpc::Status status) {
      call->pending->Complete(std::move(status));
      held->fetch_sub(1);
    };
    start(&call->context, &request, &call->response, std::move(done));
    std::optional<grpc::Status> status = co_await call->pending->Wait(Deadline::Never());
    running_.erase(&call->context);
    if (!status->ok()) co_return Fail(ToError(*status, address_));
    co_return std::move(call->response);
  }

  io::Loop& loop_;
  std::string address_;
  std::unique_ptr<etcdserverpb::KV::Stub> kv_;
  std::unique_ptr<etcdserverpb::Cluster::Stub> cluster_;
  std::unique_ptr<etcdserverpb::Maintenance::Stub> maintenance_;
  Counter held_ = std::make_shared<std::atomic<int>>(0);
  io::Gate gate_;
  std::set<grpc::ClientContext*> running_;
};

}  // namespace

Result<std::unique_ptr<Admin>> Admin::Make(io::Loop& loop, const EtcdOptions& options) {
  ASSIGN_OR_RETURN(std::vector<EndpointChannel> channels, MakeChannels(options));
  if (channels.size() != 1)
    return Fail(Code::kInvalidArgument, "one etcd server is expected, not {}", options.endpoints);
  return std::unique_ptr<Admin>(std::make_unique<GrpcAdmin>(loop, std::move(channels[0])));
}

}  // namespace paceline::topo::etcd
