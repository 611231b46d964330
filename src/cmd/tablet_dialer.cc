#include "cmd/tablet_dialer.h"

#include "base/log.h"
#include "native/client.h"
#include "rpc/channel.h"
#include "rpc/query_service.h"

namespace paceline::cmd {
namespace {

// A native connection that opens when health is first asked for, which the watcher does at once and
// again after each loss; statements go only over an open one.
class NativeTablet final : public port::QueryService {
 public:
  explicit NativeTablet(native::ClientOptions options) : options_(std::move(options)) {}

  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override {
    std::shared_ptr<native::Client> client = client_;
    if (client == nullptr) {
      co_return Fail(Code::kClusterEvent, "no connection to tablet {}", options_.tablet.ToString());
    }
    Result<port::QueryEnd> end = co_await client->Execute(request, sink, deadline);
    co_return end;
  }

  io::Task<Status> Release(record::Target target, uint64_t pinned_id, Deadline deadline) override {
    std::shared_ptr<native::Client> client = client_;
    if (client == nullptr)
      co_return Status();  // a lost connection's pins are released by the tablet
    Status released = co_await client->Release(std::move(target), pinned_id, deadline);
    co_return released;
  }

  io::Task<Result<std::vector<port::AttemptOutcome>>> Resolve(
      record::Target target, std::vector<port::AttemptQuestion> questions,
      Deadline deadline) override {
    std::shared_ptr<native::Client> client = client_;
    if (client == nullptr) {
      co_return Fail(Code::kClusterEvent, "no connection to tablet {}", options_.tablet.ToString());
    }
    Result<std::vector<port::AttemptOutcome>> outcomes =
        co_await client->Resolve(std::move(target), std::move(questions), deadline);
    co_return outcomes;
  }

  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline deadline) override {
    Result<std::unique_ptr<native::Client>> connected =
        co_await native::Client::Connect(options_, Deadline::In(3s).EarlierOf(deadline));
    if (!connected) co_return Fail(connected.error());
    std::shared_ptr<native::Client> client = std::move(*connected);
    if (closed_) {
      co_await client->Close();
      co_return Fail(Code::kCanceled, "closed");
    }
    client_ = client;
    Status ended = co_await client->StreamHealth(sink, deadline);
    if (client_ == client) client_ = nullptr;
    io::Detach(CloseQuietly(client));
    co_return ended;
  }

  io::Task<void> Close() override {
    closed_ = true;
    std::shared_ptr<native::Client> client = std::move(client_);
    client_ = nullptr;
    if (client) co_await client->Close();
  }

 private:
  static io::Task<void> CloseQuietly(std::shared_ptr<native::Client> client) {
    co_await client->Close();
  }

  native::ClientOptions options_;
  std::shared_ptr<native::Client> client_;
  bool closed_ = false;
};

// The tablet of this process: its service itself, which others use too and which outlives the gate.
class OwnTablet final : public port::QueryService {
 public:
  explicit OwnTablet(port::QueryService& service) : service_(service) {}

  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override {
    return service_.Execute(request, sink, deadline);
  }
  io::Task<Status> Release(record::Target target, uint64_t pinned_id, Deadline deadline) override {
    return service_.Release(std::move(target), pinned_id, deadline);
  }
  io::Task<Result<std::vector<port::AttemptOutcome>>> Resolve(
      record::Target target, std::vector<port::AttemptQuestion> questions,
      Deadline deadline) override {
    return service_.Resolve(std::move(target), std::move(questions), deadline);
  }

  // Beats come at least every 250 ms, so a closed stream is left in that time.
  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline deadline) override {
    struct UntilClosed final : port::HealthSink {
      void OnHealth(const port::TabletHealth& health) override {
        if (!*closed) to->OnHealth(health);
      }
      std::shared_ptr<bool> closed;
      port::HealthSink* to = nullptr;
    } until;
    until.closed = closed_;
    until.to = &sink;
    while (!*closed_ && !deadline.Passed(io::Loop::Current().Now())) {
      Status ended = co_await service_.StreamHealth(until, Deadline::In(250ms).EarlierOf(deadline));
      bool beat = !ended && ended.error().code() == Code::kDeadlineExceeded;
      if (!beat) co_return ended;
    }
    co_return Fail(Code::kCanceled, "closed");
  }

  // What runs ends by itself: the tablet that lost its office drops its connections.
  io::Task<void> Close() override {
    *closed_ = true;
    co_return;
  }

 private:
  port::QueryService& service_;
  std::shared_ptr<bool> closed_ = std::make_shared<bool>(false);
};

}  // namespace

port::QueryServicePtr TabletDialer::Dial(const record::Tablet& tablet) {
  port::QueryServicePtr service;
  if (own_ != nullptr && tablet.alias == own_alias_) {
    service = std::make_shared<OwnTablet>(*own_);
    last_[tablet.alias] = service;
    return service;
  }
  int32_t native_port = tablet.Port("native");
  if (native_port > 0) {
    native::ClientOptions options;
    options.address = io::Address::Tcp(tablet.hostname, static_cast<uint16_t>(native_port));
    options.tablet = tablet.alias;
    Result<std::shared_ptr<io::TlsContext>> tls = tls_.Native(tablet.hostname);
    if (!tls) {
      LOG_ERROR("tablet {}: {}", tablet.alias.ToString(), tls.error().ToString());
      return nullptr;
    }
    options.tls = *tls;
    service = std::make_shared<NativeTablet>(std::move(options));
  } else {
    Result<rpc::ChannelPtr> channel =
        rpc::Channel::Open(loop_, tablet.GrpcAddress(), tls_.Channel());
    if (!channel) {
      LOG_ERROR("tablet {}: {}", tablet.alias.ToString(), channel.error().ToString());
      return nullptr;
    }
    service = rpc::NewQueryServiceClient(*channel);
  }
  last_[tablet.alias] = service;
  return service;
}

port::QueryServicePtr TabletDialer::Last(const record::TabletAlias& alias) const {
  auto found = last_.find(alias);
  return found == last_.end() ? nullptr : found->second;
}

}  // namespace paceline::cmd
