#include "native/session.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/log.h"

namespace paceline::native {
namespace {

constexpr Duration kHelloTime = std::chrono::seconds(10);
constexpr Duration kLongest = std::chrono::hours(24 * 365);
constexpr Duration kReleaseTime = std::chrono::seconds(10);
// A health stream is asked for in slices, so that it ends soon after its watcher has gone.
constexpr Duration kHealthSlice = std::chrono::seconds(1);
// Output that the kernel has not taken; above it producers wait even with credit.
constexpr size_t kMaxBacklog = 1024 * 1024;
constexpr size_t kMaxSettings = 4096;
constexpr size_t kKeptBody = 64 * 1024;

}  // namespace

// A request from its first frame to its last, and the sink of its answer.
class Session::Call final : public port::ResultSink {
 public:
  explicit Call(Session& session) : session_(session) {}

  void Reset(uint32_t number) {
    id = number;
    gathering = true;
    running = false;
    canceled_early = false;
    cancel = {};
    body.clear();
    credit = kWindowBytes;
    has_end_ = prepared_ = false;
    request = {};
  }

  void OnColumns(uint64_t, std::string_view packets) override { PutData(packets, Part::kMetadata); }
  void OnRows(std::string_view bytes) override { PutData(bytes, Part::kRows); }
  void OnEnd(const mysql::wire::Terminator& end, bool last) override {
    if (session_.link_.broken()) return;
    if (!last) {
      AppendEnd(&session_.link_.out(), id, end);
      session_.link_.Wrote();
      return;
    }
    // The last one waits for the pinned id, which is known when the call returns.
    has_end_ = true;
    encoded_end_.clear();
    EncodeTerminator(&encoded_end_, end);
  }
  void OnPrepared(uint16_t parameter_count, std::string_view parameters, uint16_t column_count,
                  std::string_view columns, uint16_t warnings) override {
    // Not marked complete: PREPARED does that, and says where the parameters' end.
    PutData(parameters, Part::kSomeMetadata);
    PutData(columns, Part::kSomeMetadata);
    prepared_ = true;
    prepared_end_ = {0, parameter_count, column_count, warnings,
                     static_cast<uint32_t>(parameters.size())};
  }
  bool Full() const override {
    return credit <= 0 || session_.link_.writer().backlog() > kMaxBacklog || session_.ended_;
  }
  io::Task<Status> WaitNotFull(Deadline deadline) override {
    while (credit <= 0 && !session_.ended_ && !cancel.requested()) {
      bool granted = co_await credit_event.Wait(deadline);
      if (!granted)
        co_return Fail(Code::kDeadlineExceeded, "the reader took nothing until the deadline");
    }
    if (session_.ended_ || cancel.requested()) {
      co_return Fail(Code::kCanceled, "the reader has gone");
    }
    Status written = co_await session_.link_.writer().WaitBelow(kMaxBacklog, deadline);
    co_return written;
  }

  // The frame that ends the call.
  void PutEnd(const Result<port::QueryEnd>& end) {
    if (session_.link_.broken()) return;
    std::string* out = &session_.link_.out();
    if (!end) {
      AppendError(out, id, end.error());
    } else if (prepared_) {
      prepared_end_.pinned_id = end->pinned_id;
      AppendPrepared(out, id, prepared_end_);
    } else if (has_end_) {
      AppendLastEnd(out, id, encoded_end_, *end);
    } else {
      AppendError(out, id, Error(Code::kInternal, "the statement ended without an answer"));
    }
    session_.link_.Wrote();
  }

  uint32_t id = 0;
  bool gathering = false;  // more QUERY_PARTs come
  bool running = false;
  bool canceled_early = false;  // while gathering
  std::string body;
  uint32_t attempt = 0;
  port::QueryRequest request;
  Deadline deadline = Deadline::Never();
  port::Cancel cancel;
  int64_t credit = 0;
  io::Event credit_event;

 private:
  enum class Part : uint8_t { kRows, kMetadata, kSomeMetadata };
  void PutData(std::string_view bytes, Part what) {
    if (session_.link_.broken()) return;
    credit -= static_cast<int64_t>(bytes.size());
    while (!bytes.empty()) {
      std::string_view part = bytes.substr(0, kMaxDataBytes);
      bytes.remove_prefix(part.size());
      FrameHeader header{.request = id, .type = FrameType::kData};
      if (what != Part::kRows) header.meta = static_cast<uint32_t>(part.size());
      if (what == Part::kMetadata && bytes.empty()) header.flags = kFlagMetaEnd;
      AppendFrame(&session_.link_.out(), header, part);
    }
    session_.link_.Wrote();
  }

  Session& session_;
  bool has_end_ = false;
  bool prepared_ = false;
  std::string encoded_end_;
  Prepared prepared_end_;
};

struct Session::HealthStream final : port::HealthSink {
  HealthStream(Session& owner, uint32_t number) : session(owner), id(number) {}
  void OnHealth(const port::TabletHealth& health) override {
    if (ended || session.link_.broken()) return;
    // A watcher that does not read misses this one; the next beat carries all that is new.
    if (session.link_.writer().backlog() > kMaxBacklog) return;
    AppendHealth(&session.link_.out(), id, health);
    session.link_.Wrote();
  }
  Session& session;
  uint32_t id;
  bool ended = false;
};

Session::Session(io::StreamPtr stream, port::QueryService& service, const ServerOptions& options,
                 const Hello& hello)
    : loop_(io::Loop::Current()),
      service_(service),
      options_(options),
      hello_(hello),
      link_(std::move(stream)),
      read_deadline_(Deadline::After(loop_.clock(), kHelloTime)) {}

Session::~Session() { CHECK_MSG(gate_.count() == 0, "native::Session destroyed while calls run"); }

io::Task<Status> Session::Run() {
  Status ended = co_await link_.ReadAll(*this, read_deadline_);
  ended_ = true;
  if (!link_.broken()) {
    if (!greeted_ && ended.error().code() == Code::kFailedPrecondition) {
      AppendError(&link_.out(), 0, ended.error());
    }
    link_.Shutdown();
  }
  for (Call* call : calls_) {
    if (call == nullptr) continue;
    if (call->running) {
      call->cancel.Request();
      call->credit_event.Pulse();
    } else {
      Free(call);
    }
  }
  for (auto& [id, stream] : health_) stream->ended = true;
  [[maybe_unused]] bool left = co_await gate_.Close(Deadline::Never());
  co_await ReleasePinned();
  co_return ended;
}

io::Task<void> Session::ReleasePinned() {
  std::unordered_map<uint64_t, record::Target> pinned = std::move(pinned_);
  for (auto& [id, target] : pinned) {
    Deadline deadline = Deadline::After(loop_.clock(), kReleaseTime);
    Status released = co_await service_.Release(target, id, deadline);
    if (!released)
      LOG_WARNING("native: releasing connection {}: {}", id, released.error().message());
  }
}

void Session::GoAway(std::string_view why) {
  if (link_.broken()) return;
  AppendFrame(&link_.out(), {.type = FrameType::kGoAway}, why);
  link_.Wrote();
}

void Session::Shutdown() { link_.Shutdown(); }

Status Session::OnPiece(const FrameSplitter::Piece& piece) {
  if (!greeted_) return OnHello(piece);
  const uint32_t request = piece.header.request;
  switch (piece.header.type) {
    case FrameType::kQuery:
      return OnQuery(piece);
    case FrameType::kQueryPart:
      return OnQueryPart(piece);
    case FrameType::kSettings: {
      if (piece.header.flags & kFlagReset) settings_.clear();
      auto settings = std::make_shared<port::Settings>();
      if (!DecodeSettings(piece.bytes, settings.get()) || settings_.size() >= kMaxSettings) {
        return Fail(Code::kInvalidArgument, "malformed SETTINGS frame");
      }
      uint64_t id = settings->id;
      settings_[id] = std::move(settings);
      return {};
    }
    case FrameType::kCredit: {
      uint64_t bytes = 0;
      if (!DecodeCredit(piece.bytes, &bytes) || bytes > INT32_MAX) {
        return Fail(Code::kInvalidArgument, "malformed CREDIT frame");
      }
      Call* call = Find(request);
      if (call == nullptr) return {};  // it has ended meanwhile
      call->credit = std::min<int64_t>(call->credit + static_cast<int64_t>(bytes), INT32_MAX);
      if (call->credit > 0) call->credit_event.Pulse();
      return {};
    }
    case FrameType::kCancel: {
      auto health = health_.find(request);
      if (health != health_.end()) health->second->ended = true;
      Call* call = Find(request);
      if (call == nullptr) return {};
      if (call->running) {
        call->cancel.Request();
        call->credit_event.Pulse();
      } else {
        call->canceled_early = true;
        if (call->gathering) {
          Refuse(request, Error(Code::kCanceled, "canceled by the client before it was complete"));
          Free(call);
        }
      }
      return {};
    }
    case FrameType::kRelease: {
      record::Target target;
      uint64_t pinned_id = 0;
      Duration left{0};
      if (!DecodeRelease(piece.bytes, &target, &pinned_id, &left)) {
        return Fail(Code::kInvalidArgument, "malformed RELEASE frame");
      }
      RETURN_IF_ERROR(BeginSimple(request));
      Deadline deadline = Deadline::After(loop_.clock(), std::min(left, kLongest));
      loop_.Post([pass = std::make_shared<std::optional<io::Gate::Pass>>(gate_.Enter()), this,
                  request, target, pinned_id, deadline] {
        if (*pass) io::Detach(RunRelease(this, request, target, pinned_id, deadline));
      });
      return {};
    }
    case FrameType::kResolve: {
      record::Target target;
      std::vector<port::AttemptQuestion> questions;
      Duration left{0};
      if (!DecodeResolve(piece.bytes, &target, &questions, &left)) {
        return Fail(Code::kInvalidArgument, "malformed RESOLVE frame");
      }
      RETURN_IF_ERROR(BeginSimple(request));
      Deadline deadline = Deadline::After(loop_.clock(), std::min(left, kLongest));
      loop_.Post([pass = std::make_shared<std::optional<io::Gate::Pass>>(gate_.Enter()), this,
                  request, target, questions = std::move(questions), deadline]() mutable {
        if (*pass) io::Detach(RunResolve(this, request, target, std::move(questions), deadline));
      });
      return {};
    }
    case FrameType::kPing:
      AppendEmpty(&link_.out(), FrameType::kPong, request);
      link_.Wrote();
      return {};
    case FrameType::kWatchHealth:
      RETURN_IF_ERROR(BeginSimple(request));
      loop_.Post(
          [pass = std::make_shared<std::optional<io::Gate::Pass>>(gate_.Enter()), this, request] {
            if (*pass) io::Detach(RunHealth(this, request));
          });
      return {};
    default:
      return Fail(Code::kInvalidArgument, "unexpected frame of type {}",
                  static_cast<int>(piece.header.type));
  }
}

Status Session::OnHello(const FrameSplitter::Piece& piece) {
  Hello hello;
  if (piece.header.type != FrameType::kHello || !DecodeHello(piece.bytes, &hello)) {
    return Fail(Code::kInvalidArgument, "the peer did not begin with HELLO");
  }
  if (hello.version < 1) {
    return Fail(Code::kFailedPrecondition, "version {} of the native data plane is not known here",
                hello.version);
  }
  greeted_ = true;
  read_deadline_ = Deadline::Never();
  peer_program_ = hello.program;
  Hello answer = hello_;
  answer.version = std::min(hello.version, kProtocolVersion);
  AppendHello(&link_.out(), answer);
  link_.Wrote();
  return {};
}

Session::Call* Session::Find(uint32_t request) {
  return request < calls_.size() ? calls_[request] : nullptr;
}

Status Session::CheckNumber(uint32_t request) {
  if (request == 0 || request > options_.max_calls_per_connection) {
    return Fail(Code::kInvalidArgument, "request number {} is out of range", request);
  }
  if (Find(request) != nullptr || (!simple_.empty() && simple_.contains(request))) {
    return Fail(Code::kInvalidArgument, "request number {} is still in use", request);
  }
  return {};
}

Status Session::BeginSimple(uint32_t request) {
  RETURN_IF_ERROR(CheckNumber(request));
  simple_.insert(request);
  return {};
}

Result<Session::Call*> Session::Begin(uint32_t request) {
  RETURN_IF_ERROR(CheckNumber(request));
  if (request >= calls_.size()) calls_.resize(request + 1);
  if (free_.empty()) {
    owned_.push_back(std::make_unique<Call>(*this));
    free_.push_back(owned_.back().get());
  }
  Call* call = free_.back();
  free_.pop_back();
  call->Reset(request);
  calls_[request] = call;
  return call;
}

void Session::Free(Call* call) {
  if (call->gathering) gathered_ -= call->body.size();
  calls_[call->id] = nullptr;
  if (call->body.capacity() > kKeptBody) std::string().swap(call->body);
  free_.push_back(call);
}

void Session::Refuse(uint32_t request, const Error& error) {
  if (link_.broken()) return;
  AppendError(&link_.out(), request, error);
  link_.Wrote();
}

Status Session::OnQuery(const FrameSplitter::Piece& piece) {
  ASSIGN_OR_RETURN(Call * call, Begin(piece.header.request));
  call->body.assign(piece.bytes);
  call->attempt = piece.header.meta;
  gathered_ += call->body.size();
  if (piece.header.flags & kFlagMore) return {};
  return Prepare(*call);
}

Status Session::OnQueryPart(const FrameSplitter::Piece& piece) {
  Call* call = Find(piece.header.request);
  if (call == nullptr || !call->gathering) return {};  // refused or canceled meanwhile
  call->body.append(piece.bytes);
  gathered_ += piece.bytes.size();
  if (call->body.size() > options_.max_statement_bytes || gathered_ > options_.max_gathered_bytes) {
    Refuse(call->id,
           Error(Code::kResourceExhausted,
                 fmt::format("statement is longer than {} bytes, or too many long ones are "
                             "arriving",
                             options_.max_statement_bytes)));
    Free(call);
    return {};
  }
  if (piece.header.flags & kFlagMore) return {};
  return Prepare(*call);
}

Status Session::Prepare(Call& call) {
  gathered_ -= call.body.size();
  call.gathering = false;
  DecodedQuery query;
  if (!DecodeQuery(call.body, &query)) return Fail(Code::kInvalidArgument, "malformed QUERY frame");
  port::QueryRequest& request = call.request;
  if (query.target != target_bytes_ || target_bytes_.empty()) {
    if (!DecodeTarget(query.target, &target_)) {
      return Fail(Code::kInvalidArgument, "malformed target in QUERY frame");
    }
    target_bytes_ = query.target;
  }
  request.target = target_;
  if (!DecodeCaller(query.caller, &request.caller)) {
    return Fail(Code::kInvalidArgument, "malformed caller in QUERY frame");
  }
  if (query.settings_id != 0) {
    auto found = settings_.find(query.settings_id);
    if (found == settings_.end()) {
      return Fail(Code::kInvalidArgument, "QUERY names settings that were not sent");
    }
    request.settings = found->second;
  }
  request.pinned_id = query.pinned_id;
  request.begin = query.begin;
  request.reserve = query.reserve;
  request.found_rows = query.found_rows;
  request.kind = query.kind;
  request.text = query.text;
  request.parameters = query.parameters;
  request.cancel = &call.cancel;
  request.attempt = call.attempt;
  call.deadline = Deadline::After(loop_.clock(), std::min(query.time_left, kLongest));
  starting_.push_back(&call);
  return {};
}

void Session::OnBatchEnd() {
  // RunQuery may end at once and its loop's work may start more: the list is walked by index.
  for (size_t i = 0; i < starting_.size(); ++i) {
    Call* call = starting_[i];
    if (call->canceled_early) call->cancel.Request();
    call->running = true;
    io::Detach(RunQuery(this, call));
  }
  starting_.clear();
}

io::Task<void> Session::RunQuery(Session* self, Call* call) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) co_return;
  const uint64_t pinned_before = call->request.pinned_id;
  Result<port::QueryEnd> end =
      co_await self->service_.Execute(call->request, *call, call->deadline);
  uint64_t pinned_now = end ? end->pinned_id : 0;
  if (pinned_now != 0 && pinned_now != pinned_before) {
    self->pinned_.emplace(pinned_now, call->request.target);
  }
  // An error leaves a connection pinned that was before; an unknown id costs nothing at the end.
  if (end && pinned_before != 0 && pinned_now != pinned_before) self->pinned_.erase(pinned_before);
  call->PutEnd(end);
  call->running = false;
  self->Free(call);
}

io::Task<void> Session::RunRelease(Session* self, uint32_t request, record::Target target,
                                   uint64_t pinned_id, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) co_return;
  Status released = co_await self->service_.Release(target, pinned_id, deadline);
  self->pinned_.erase(pinned_id);
  self->simple_.erase(request);
  if (self->link_.broken()) co_return;
  if (released) {
    AppendEmpty(&self->link_.out(), FrameType::kDone, request);
  } else {
    AppendError(&self->link_.out(), request, released.error());
  }
  self->link_.Wrote();
}

io::Task<void> Session::RunResolve(Session* self, uint32_t request, record::Target target,
                                   std::vector<port::AttemptQuestion> questions,
                                   Deadline deadline) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) co_return;
  Result<std::vector<port::AttemptOutcome>> outcomes =
      co_await self->service_.Resolve(std::move(target), std::move(questions), deadline);
  self->simple_.erase(request);
  if (self->link_.broken()) co_return;
  if (outcomes) {
    AppendResolved(&self->link_.out(), request, *outcomes);
  } else {
    AppendError(&self->link_.out(), request, outcomes.error());
  }
  self->link_.Wrote();
}

io::Task<void> Session::RunHealth(Session* self, uint32_t request) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  if (!pass) co_return;
  HealthStream stream(*self, request);
  self->health_[request] = &stream;
  Error why(Code::kCanceled, "canceled by the client");
  while (!stream.ended) {
    Deadline slice = Deadline::After(self->loop_.clock(), kHealthSlice);
    Status ended = co_await self->service_.StreamHealth(stream, slice);
    if (!ended && ended.error().code() != Code::kDeadlineExceeded) {
      why = ended.error();
      break;
    }
  }
  self->health_.erase(request);
  self->simple_.erase(request);
  self->Refuse(request, why);
}

}  // namespace paceline::native
