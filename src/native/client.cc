#include "native/client.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"

namespace paceline::native {
namespace {

constexpr size_t kMaxSettingsSent = 1024;
// Requests gathered for a peer that does not read; above it new ones wait.
constexpr size_t kMaxBacklog = 4 * 1024 * 1024;
constexpr size_t kMaxMetadata = 16 * 1024 * 1024;
constexpr Duration kLongest = std::chrono::hours(24 * 365);

// The tablet's own time is a little shorter, so that its answer about a deadline arrives before
// ours.
Duration TimeLeft(Deadline deadline, Time now) {
  if (deadline.never()) return kLongest;
  Duration left = deadline.Left(now);
  return left - std::min<Duration>(left / 10, std::chrono::milliseconds(100));
}

// Column count packet: its lenenc integer.
uint64_t ColumnCount(std::string_view metadata) {
  if (metadata.size() <= mysql::wire::kPacketHeaderBytes) return 0;
  mysql::wire::Reader in(metadata.substr(mysql::wire::kPacketHeaderBytes));
  return in.Lenenc();
}

}  // namespace

struct Client::Call {
  Call(Client* owner, uint32_t number) : client(owner), id(number), timer(&OnTimer, this) {}
  static void OnTimer(void* self);
  void Wake(io::Wake how) {
    wake = how;
    if (waiter) client->loop_.Ready(std::exchange(waiter, {}));
  }

  Client* client;
  uint32_t id;
  bool sent = false;  // the peer will answer
  bool done = false;
  bool left = false;       // nobody waits for the answer any more
  bool attention = false;  // the sink is full: the waiter is to wait for it and grant credit
  port::ResultSink* sink = nullptr;
  port::HealthSink* health = nullptr;
  std::vector<port::AttemptOutcome>* outcomes = nullptr;
  std::optional<Error> error;
  port::QueryEnd end;
  uint64_t offset = 0;  // of its request in the link's output
  uint64_t ungranted = 0;
  std::string meta;
  std::coroutine_handle<> waiter;
  io::Wake wake = io::Wake::kDone;
  Deadline deadline = Deadline::Never();
  io::Timer timer;  // as in io::Socket: left armed between calls, sets itself again when early
};

void Client::Call::OnTimer(void* self) {
  auto* call = static_cast<Call*>(self);
  if (!call->waiter || call->deadline.never()) return;
  if (call->deadline.Passed(call->client->loop_.Now())) {
    call->Wake(io::Wake::kTimeout);
  } else {
    call->timer.Set(call->client->loop_, call->deadline.time());
  }
}

// Until the call is done, wants attention, or the deadline passes.
class Client::CallWait {
 public:
  CallWait(Call& call, Deadline deadline) : call_(call), deadline_(deadline) {}
  bool await_ready() const { return call_.done || call_.attention; }
  bool await_suspend(std::coroutine_handle<> handle) {
    call_.wake = io::Wake::kDone;
    if (!deadline_.never()) {
      bool armed = call_.timer.armed() && call_.timer.at() <= deadline_.time();
      if (!armed) {
        if (deadline_.Passed(call_.client->loop_.Now())) {
          call_.wake = io::Wake::kTimeout;
          return false;
        }
        call_.timer.Set(call_.client->loop_, deadline_.time());
      }
    }
    call_.deadline = deadline_;
    call_.waiter = handle;
    return true;
  }
  io::Wake await_resume() const {
    return call_.done || call_.attention ? io::Wake::kDone : call_.wake;
  }

 private:
  Call& call_;
  Deadline deadline_;
};

Client::Client(ClientOptions options, io::StreamPtr stream, bool over_unix)
    : loop_(io::Loop::Current()),
      options_(std::move(options)),
      link_(std::move(stream)),
      over_unix_(over_unix) {}

Client::~Client() { CHECK_MSG(gate_.count() == 0, "native::Client destroyed while in use"); }

io::Task<Result<std::unique_ptr<Client>>> Client::Connect(ClientOptions options,
                                                          Deadline deadline) {
  if (!options.unix_path.empty() && access(options.unix_path.c_str(), F_OK) == 0) {
    io::Address path = io::Address::Unix(options.unix_path);
    Result<std::unique_ptr<Client>> client = co_await ConnectTo(options, path, deadline);
    if (client || options.address.host.empty()) co_return client;
    LOG_INFO("native: {}: {}; using {}", options.unix_path, client.error().message(),
             options.address.ToString());
  }
  Result<std::unique_ptr<Client>> client = co_await ConnectTo(options, options.address, deadline);
  if (!client || !options.unix_path.empty()) co_return client;
  // The tablet says where it listens for its own host. The path may exist here and lead elsewhere,
  // so the instance decides.
  std::string named = (*client)->peer().unix_path;
  if (named.empty() || access(named.c_str(), R_OK | W_OK) != 0) co_return client;
  io::Address path = io::Address::Unix(named);
  Result<std::unique_ptr<Client>> nearer = co_await ConnectTo(options, path, deadline);
  if (!nearer) co_return client;
  bool same = (*nearer)->peer().instance == (*client)->peer().instance;
  std::unique_ptr<Client>& loser = same ? *client : *nearer;
  co_await loser->Close();
  if (same) co_return nearer;
  co_return client;
}

io::Task<Result<std::unique_ptr<Client>>> Client::ConnectTo(ClientOptions options, io::Address to,
                                                            Deadline deadline) {
  Result<std::unique_ptr<io::Socket>> socket = co_await io::Connect(to, deadline);
  if (!socket) co_return Fail(socket.error());
  io::StreamPtr stream;
  if (options.tls == nullptr || to.is_unix()) {
    stream = std::move(*socket);
  } else {
    std::shared_ptr<io::TlsContext> tls = options.tls;
    Result<io::StreamPtr> secured =
        co_await io::TlsConnect(std::move(*socket), std::move(tls), deadline);
    if (!secured) co_return Fail(secured.error().Context(to.ToString()));
    stream = std::move(*secured);
  }
  std::unique_ptr<Client> client(new Client(std::move(options), std::move(stream), to.is_unix()));
  Status greeted = co_await client->Handshake(deadline);
  if (!greeted) {
    co_await client->Close();
    co_return Fail(greeted.error().Context(to.ToString()));
  }
  co_return client;
}

io::Task<Status> Client::Handshake(Deadline deadline) {
  Hello hello;
  hello.tablet = options_.tablet;
  hello.program = options_.program;
  AppendHello(&link_.out(), hello);
  link_.Wrote();
  io::Detach(ReadLoop(this));
  bool greeted = co_await greeted_event_.Wait(deadline);
  if (broken_) co_return Fail(*broken_);
  if (!greeted) co_return Fail(Code::kDeadlineExceeded, "timed out waiting for HELLO");
  if (!options_.tablet.empty() && options_.tablet != peer_.tablet) {
    co_return Fail(Code::kFailedPrecondition, "expected tablet {}, but {} answers here",
                   options_.tablet.ToString(), peer_.tablet.ToString());
  }
  co_return Status();
}

io::Task<void> Client::ReadLoop(Client* self) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) co_return;
  Status ended = co_await self->link_.ReadAll(*self, self->read_deadline_);
  self->Break(ended.error());
}

void Client::Break(Error why) {
  if (lost_) return;
  lost_ = true;
  broken_ = std::move(why);
  uint64_t taken = link_.taken();
  link_.Shutdown();
  broken_event_.Set();
  greeted_event_.Set();
  for (auto& call : calls_) {
    if (call->done || (!call->sent && call->sink == nullptr)) continue;
    if (closing_ && call->health != nullptr) {
      Finish(*call, Error(Code::kCanceled, "native client was closed"));
    } else if (call->offset >= taken) {
      Finish(*call, Unusable());
    } else {
      Finish(*call, Error(Code::kUnavailable,
                          fmt::format("tablet {}: connection lost while the statement ran: {}",
                                      peer_.tablet.ToString(), broken_->message())));
    }
  }
}

Error Client::Unusable() const {
  return Error(Code::kClusterEvent,
               fmt::format("tablet {}: no connection: {}", peer_.tablet.ToString(),
                           broken_ ? broken_->message() : "closed"));
}

Client::Call* Client::TakeCall() {
  if (free_.empty()) {
    if (calls_.size() >= options_.max_calls) return nullptr;
    calls_.push_back(std::make_unique<Call>(this, static_cast<uint32_t>(calls_.size() + 1)));
    free_.push_back(calls_.back().get());
  }
  Call* call = free_.back();
  free_.pop_back();
  call->sent = call->done = call->left = call->attention = false;
  call->sink = nullptr;
  call->health = nullptr;
  call->outcomes = nullptr;
  call->error.reset();
  call->end = {};
  call->ungranted = 0;
  call->offset = UINT64_MAX;
  call->meta.clear();
  return call;
}

void Client::Finish(Call& call, std::optional<Error> error) {
  call.done = true;
  call.error = std::move(error);
  if (call.left) {
    free_.push_back(&call);
  } else {
    call.Wake(io::Wake::kDone);
  }
}

void Client::Leave(Call& call) {
  call.sink = nullptr;
  call.health = nullptr;
  call.outcomes = nullptr;
  if (call.done || !call.sent || lost_) {
    call.done = true;
    free_.push_back(&call);
    return;
  }
  call.left = true;
  AppendEmpty(&link_.out(), FrameType::kCancel, call.id);
  link_.Wrote();
}

void Client::SendSettings(const port::SettingsPtr& settings) {
  if (settings == nullptr || settings->id == last_settings_) return;
  last_settings_ = settings->id;
  if (settings_sent_.contains(settings->id)) return;
  bool reset = settings_sent_.size() >= kMaxSettingsSent;
  if (reset) settings_sent_.clear();
  settings_sent_.insert(settings->id);
  AppendSettings(&link_.out(), *settings, reset);
}

io::Task<Status> Client::SendQuery(Call& call, const port::QueryRequest& request,
                                   Deadline deadline) {
  size_t around = request.text.size() + request.parameters.size();
  if (around > kMaxDataBytes / 2) {
    // A long statement leaves in parts, others between them.
    std::string whole;
    EncodeQuery(&whole, request, TimeLeft(deadline, loop_.Now()));
    SendSettings(request.settings);
    call.offset = link_.appended();
    call.sent = true;
    std::string_view rest = whole;
    for (bool first = true; first || !rest.empty(); first = false) {
      std::string_view part = rest.substr(0, kMaxDataBytes);
      rest.remove_prefix(part.size());
      FrameHeader header{.request = call.id,
                         .type = first ? FrameType::kQuery : FrameType::kQueryPart,
                         .flags = rest.empty() ? uint8_t{0} : uint8_t{kFlagMore},
                         .meta = first ? request.attempt : 0};
      AppendFrame(&link_.out(), header, part);
      link_.Wrote();
      if (rest.empty()) break;
      Status room = co_await link_.writer().WaitBelow(2 * kMaxDataBytes, deadline);
      if (call.done) break;  // refused already
      if (!room && room.error().code() == Code::kDeadlineExceeded) co_return room;
      if (!room) co_return Fail(Unusable());  // what is not complete cannot have run
    }
    co_return Status();
  }
  SendSettings(request.settings);
  std::string& out = link_.out();
  call.offset = link_.appended();
  call.sent = true;
  size_t at = out.size();
  AppendHeader(&out, {.request = call.id, .type = FrameType::kQuery, .meta = request.attempt});
  EncodeQuery(&out, request, TimeLeft(deadline, loop_.Now()));
  PatchLength(&out, at);
  link_.Wrote();
  co_return Status();
}

io::Task<Result<port::QueryEnd>> Client::Execute(const port::QueryRequest& request,
                                                 port::ResultSink& sink, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass || !usable()) co_return Fail(Unusable());
  if (link_.writer().backlog() > kMaxBacklog) {
    Status room = co_await link_.writer().WaitBelow(kMaxBacklog / 2, deadline);
    if (!usable()) co_return Fail(Unusable());
    if (!room) {
      co_return Fail(Code::kResourceExhausted, "tablet {} does not take requests in time",
                     peer_.tablet.ToString());
    }
  }
  Call* call = TakeCall();
  if (call == nullptr) {
    co_return Fail(Code::kResourceExhausted, "tablet {}: {} calls are already running",
                   peer_.tablet.ToString(), options_.max_calls);
  }
  call->sink = &sink;
  Status sent = co_await SendQuery(*call, request, deadline);
  if (sent) {
    if (request.cancel != nullptr) {
      request.cancel->SetHandler([this, call] {
        if (call->done || lost_) return;
        AppendEmpty(&link_.out(), FrameType::kCancel, call->id);
        link_.Wrote();
      });
    }
    sent = co_await WaitEnd(*call, deadline);
    if (request.cancel != nullptr) request.cancel->SetHandler(nullptr);
  }
  if (!sent && !call->done) {
    Leave(*call);
    co_return Fail(sent.error());
  }
  std::optional<Error> error = std::move(call->error);
  port::QueryEnd end = std::move(call->end);
  end.tablet = peer_.tablet;
  Leave(*call);
  if (error) co_return Fail(*std::move(error));
  co_return end;
}

io::Task<Status> Client::WaitEnd(Call& call, Deadline deadline) {
  for (;;) {
    CallWait wait(call, deadline);
    io::Wake wake = co_await wait;
    if (call.done) co_return Status();
    if (wake == io::Wake::kTimeout) {
      co_return Fail(Code::kDeadlineExceeded, "tablet {}: no answer before the deadline",
                     peer_.tablet.ToString());
    }
    call.attention = false;
    Status room = co_await call.sink->WaitNotFull(deadline);
    if (!room) co_return room;
    if (!call.done) Grant(call);
  }
}

void Client::Grant(Call& call) {
  if (call.ungranted == 0 || lost_) return;
  AppendCredit(&link_.out(), call.id, call.ungranted);
  call.ungranted = 0;
  link_.Wrote();
}

Status Client::OnPiece(const FrameSplitter::Piece& piece) {
  if (!greeted_) return OnHello(piece);
  const FrameHeader& header = piece.header;
  if (header.type == FrameType::kGoAway) {
    if (!broken_) {
      broken_ = Error(Code::kClusterEvent, fmt::format("tablet is going away: {}", piece.bytes));
      broken_event_.Set();
    }
    return {};
  }
  if (header.request == 0 || header.request > calls_.size()) {
    return Fail(Code::kInternal, "frame for unknown call {}", header.request);
  }
  Call& call = *calls_[header.request - 1];
  if (call.done) return {};  // the rest of what ended early
  switch (header.type) {
    case FrameType::kData:
      return OnData(call, piece);
    case FrameType::kEnd:
      return OnEnd(call, piece);
    case FrameType::kPrepared:
      return OnPrepared(call, piece.bytes);
    case FrameType::kDone:
    case FrameType::kPong:
      Finish(call, std::nullopt);
      return {};
    case FrameType::kResolved: {
      std::vector<port::AttemptOutcome> outcomes;
      if (!DecodeResolved(piece.bytes, &outcomes))
        return Fail(Code::kInternal, "malformed RESOLVED frame");
      if (call.outcomes != nullptr) *call.outcomes = std::move(outcomes);
      Finish(call, std::nullopt);
      return {};
    }
    case FrameType::kError: {
      Error error(Code::kUnknown, "");
      if (!DecodeError(piece.bytes, &error)) return Fail(Code::kInternal, "malformed ERROR frame");
      Finish(call, std::move(error));
      return {};
    }
    case FrameType::kHealth: {
      port::TabletHealth health;
      if (!DecodeHealth(piece.bytes, &health))
        return Fail(Code::kInternal, "malformed HEALTH frame");
      if (call.health != nullptr) call.health->OnHealth(health);
      return {};
    }
    default:
      return Fail(Code::kInternal, "unexpected frame of type {}", static_cast<int>(header.type));
  }
}

Status Client::OnHello(const FrameSplitter::Piece& piece) {
  if (piece.header.type == FrameType::kError) {
    Error error(Code::kUnknown, "");
    if (!DecodeError(piece.bytes, &error)) return Fail(Code::kInternal, "malformed ERROR frame");
    return Fail(std::move(error));
  }
  if (piece.header.type != FrameType::kHello || !DecodeHello(piece.bytes, &peer_)) {
    return Fail(Code::kFailedPrecondition, "not a native data plane of Paceline");
  }
  greeted_ = true;
  greeted_event_.Set();
  return {};
}

Status Client::OnData(Call& call, const FrameSplitter::Piece& piece) {
  if (call.sink == nullptr) return {};
  std::string_view bytes = piece.bytes;
  const uint32_t meta = piece.header.meta;
  const bool meta_end = piece.header.flags & kFlagMetaEnd;
  if (piece.offset < meta) {
    std::string_view part = bytes.substr(0, meta - piece.offset);
    bytes.remove_prefix(part.size());
    const bool complete = meta_end && piece.offset + part.size() == meta;
    if (complete && call.meta.empty()) {
      call.sink->OnColumns(ColumnCount(part), part);
    } else {
      if (call.meta.size() + part.size() > kMaxMetadata) {
        return Fail(Code::kInternal, "metadata of a result is larger than {} bytes", kMaxMetadata);
      }
      call.meta.append(part);
      if (complete) {
        call.sink->OnColumns(ColumnCount(call.meta), call.meta);
        call.meta.clear();
      }
    }
  }
  if (!bytes.empty()) call.sink->OnRows(bytes);
  call.ungranted += piece.bytes.size();
  if (call.ungranted >= kWindowBytes / 2 && !call.attention) {
    if (call.sink->Full()) {
      call.attention = true;
      call.Wake(io::Wake::kDone);
    } else {
      Grant(call);
    }
  }
  return {};
}

Status Client::OnEnd(Call& call, const FrameSplitter::Piece& piece) {
  const bool last = piece.header.flags & kFlagLast;
  if (!DecodeEnd(piece.header, piece.bytes, &end_, &call.end))
    return Fail(Code::kInternal, "malformed END frame");
  call.meta.clear();
  if (call.sink != nullptr) call.sink->OnEnd(end_, last);
  if (last) {
    Finish(call, std::nullopt);
  }
  return {};
}

Status Client::OnPrepared(Call& call, std::string_view payload) {
  Prepared prepared;
  if (!DecodePrepared(payload, &prepared) || prepared.parameter_bytes > call.meta.size()) {
    return Fail(Code::kInternal, "malformed PREPARED frame");
  }
  if (call.sink != nullptr) {
    std::string_view all = call.meta;
    call.sink->OnPrepared(prepared.parameter_count, all.substr(0, prepared.parameter_bytes),
                          prepared.column_count, all.substr(prepared.parameter_bytes),
                          prepared.warnings);
  }
  call.end.pinned_id = prepared.pinned_id;
  Finish(call, std::nullopt);
  return {};
}

io::Task<Status> Client::RunSimple(Call& call, Deadline deadline) {
  link_.Wrote();
  Status ended = co_await WaitEnd(call, deadline);
  std::optional<Error> error = std::move(call.error);
  Leave(call);
  if (!ended) co_return ended;
  if (error) co_return Fail(*std::move(error));
  co_return Status();
}

io::Task<Status> Client::Release(record::Target target, uint64_t pinned_id, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass || !usable()) co_return Fail(Unusable());
  Call* call = TakeCall();
  if (call == nullptr) co_return Fail(Code::kResourceExhausted, "too many calls are running");
  call->offset = link_.appended();
  call->sent = true;
  AppendRelease(&link_.out(), call->id, target, pinned_id, TimeLeft(deadline, loop_.Now()));
  Status ended = co_await RunSimple(*call, deadline);
  co_return ended;
}

io::Task<Status> Client::StreamHealth(port::HealthSink& sink, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass || !usable()) co_return Fail(Unusable());
  Call* call = TakeCall();
  if (call == nullptr) co_return Fail(Code::kResourceExhausted, "too many calls are running");
  call->health = &sink;
  call->offset = link_.appended();
  call->sent = true;
  AppendEmpty(&link_.out(), FrameType::kWatchHealth, call->id);
  Status ended = co_await RunSimple(*call, deadline);
  if (!ended) co_return ended;
  co_return Fail(Code::kUnavailable, "the tablet ended its health stream");
}

io::Task<Result<std::vector<port::AttemptOutcome>>> Client::Resolve(
    record::Target target, std::vector<port::AttemptQuestion> questions, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass || !usable()) co_return Fail(Unusable());
  if (peer_.version < kVersionOfResolve) {
    co_return Fail(Code::kUnimplemented, "tablet {} keeps no evidence of attempts",
                   peer_.tablet.ToString());
  }
  size_t bytes = 0;
  for (const port::AttemptQuestion& question : questions) bytes += 64 + question.since.size();
  if (questions.size() > port::kQuestionsMax || bytes > kMaxControlBytes / 2)
    co_return Fail(Code::kResourceExhausted, "too many questions at once: ask for some of them");
  Call* call = TakeCall();
  if (call == nullptr) co_return Fail(Code::kResourceExhausted, "too many calls are running");
  std::vector<port::AttemptOutcome> outcomes;
  call->outcomes = &outcomes;
  call->offset = link_.appended();
  call->sent = true;
  AppendResolve(&link_.out(), call->id, target, questions, TimeLeft(deadline, loop_.Now()));
  Status ended = co_await RunSimple(*call, deadline);
  if (!ended) co_return Fail(ended.error());
  if (outcomes.size() != questions.size()) {
    co_return Fail(Code::kInternal, "tablet {} answered {} of {} questions",
                   peer_.tablet.ToString(), outcomes.size(), questions.size());
  }
  co_return outcomes;
}

io::Task<Status> Client::Ping(Deadline deadline) {
  std::optional<io::Gate::Pass> pass = gate_.Enter();
  if (!pass || !usable()) co_return Fail(Unusable());
  Call* call = TakeCall();
  if (call == nullptr) co_return Fail(Code::kResourceExhausted, "too many calls are running");
  call->offset = link_.appended();
  call->sent = true;
  AppendEmpty(&link_.out(), FrameType::kPing, call->id);
  Status ended = co_await RunSimple(*call, deadline);
  co_return ended;
}

io::Task<void> Client::Close() {
  closing_ = true;
  Break(Error(Code::kCanceled, "closed"));
  [[maybe_unused]] bool left = co_await gate_.Close(Deadline::Never());
}

}  // namespace paceline::native
