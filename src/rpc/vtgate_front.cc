#include "rpc/vtgate_front.h"

#include <algorithm>

#include "base/check.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/strings.h"
#include "rpc/live_session.h"
#include "rpc/session_message.h"
#include "rpc/typed_sink.h"
#include "vtgate/version_probe.h"
#include "vtrpc.pb.h"

namespace paceline::rpc {
namespace {

// Ends what the session runs when the call's deadline passes.
class KillTimer {
 public:
  KillTimer(vtgate::Session& session, Deadline deadline)
      : session_(session), timer_(&OnTimer, this) {
    if (!deadline.never()) timer_.Set(io::Loop::Current(), deadline.time());
  }

 private:
  static void OnTimer(void* context) {
    auto* self = static_cast<KillTimer*>(context);
    self->session_.KillQuery();
    // Again, where it was between two tries and nothing could be killed.
    self->timer_.Set(io::Loop::Current(), io::Loop::Current().Now() + 100ms);
  }
  vtgate::Session& session_;
  io::Timer timer_;
};

bool IsRollback(std::string_view sql) {
  sql = Trim(sql);
  if (sql.ends_with(';')) sql = Trim(sql.substr(0, sql.size() - 1));
  return EqualsIgnoreCase(sql, "rollback");
}

Error NotFound(const ::vtgate::Session& message) {
  return Error(Code::kAborted,
               fmt::format("transaction {} not found: it timed out, was rolled back, or was begun "
                           "at another vtgate; begin it again",
                           TransactionName(message)));
}

// An answer that nobody sees. The error, if it was one.
Status Outcome(Status ran, GatherSink& sink) {
  if (!ran) return ran;
  if (!sink.answers().empty() && sink.answers().back().error) {
    return Fail(*sink.answers().back().error);
  }
  return Status();
}

}  // namespace

VtgateFront::VtgateFront(io::Loop& loop, vtgate::GateContext& gate, vtgate::SessionTable& table,
                         VtgateFrontOptions options)
    : loop_(loop), gate_(gate), table_(table), options_(std::move(options)) {}

VtgateFront::~VtgateFront() { CHECK_MSG(sessions_.empty(), "a VtgateFront was not stopped"); }

void VtgateFront::Start() {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (pass) io::Detach(Sweep(std::move(*pass)));
}

io::Task<void> VtgateFront::Stop(Deadline deadline) {
  bool left = co_await pass_.Close(deadline);
  if (!left) {
    for (auto& [uuid, live] : sessions_) live->session.KillQuery();
    left = co_await pass_.Close(Deadline::In(5s));
    if (!left) LOG_WARNING("{} calls of gRPC clients did not end in time", pass_.count());
  }
  while (!sessions_.empty()) {
    LivePtr live = sessions_.begin()->second;
    Forget(*live);
    co_await live->session.Close();
  }
}

void VtgateFront::Forget(Live& live) {
  if (live.gone) return;
  live.gone = true;
  by_use_.erase(live.place);
  table_.Remove(live.id);
  sessions_.erase(live.uuid);  // the caller holds a reference
}

void VtgateFront::Show(const LivePtr& live) {
  vtgate::SessionTable::Entry entry;
  entry.loop = &loop_;
  entry.kill = [weak = std::weak_ptr<Live>(live)](bool query_only) {
    LivePtr found = weak.lock();
    if (found) found->Kill(query_only);
  };
  entry.describe = [weak = std::weak_ptr<Live>(live)]() -> std::optional<vtgate::SessionRow> {
    LivePtr found = weak.lock();
    if (!found) return std::nullopt;
    return found->Describe();
  };
  table_.Add(live->id, std::move(entry));  // which may be there already
}

bool VtgateFront::MakeRoom() {
  if (sessions_.size() < options_.most_sessions) return true;
  for (Live* one : by_use_) {
    if (one->users > 0 || one->Owns()) continue;
    LivePtr held = sessions_.at(one->uuid);
    Forget(*held);
    return true;
  }
  return false;
}

Result<VtgateFront::LivePtr> VtgateFront::Make(const vtrpc::CallerID& caller) {
  if (gate_.topology == nullptr) {
    return Fail(Code::kUnavailable, "vtgate has not read the topology yet; try again");
  }
  if (!MakeRoom()) {
    return Fail(Code::kResourceExhausted, "all {} sessions of gRPC clients are in transactions",
                options_.most_sessions);
  }
  vtgate::SessionIdentity identity;
  identity.connection_id = table_.NextId();
  identity.principal = caller.principal();
  bool trusted = options_.trust_caller_id && !caller.principal().empty();
  identity.user = trusted ? caller.principal() : options_.user;
  if (trusted) identity.groups.assign(caller.groups().begin(), caller.groups().end());
  identity.host = "grpc";
  sql::Dialect dialect;
  dialect.flavor = options_.flavor.value_or(vtgate::FlavorOfVersion(gate_.server_version));
  auto live = std::make_shared<Live>(gate_, std::move(identity), dialect);
  live->uuid = NewUuid();
  live->id = live->session.identity().connection_id;
  sessions_.emplace(live->uuid, live);
  by_use_.push_back(live.get());
  live->place = std::prev(by_use_.end());
  return live;
}

io::Task<Result<VtgateFront::LivePtr>> VtgateFront::Find(std::string uuid, Deadline deadline) {
  auto found = sessions_.find(uuid);
  if (found == sessions_.end()) co_return LivePtr();
  LivePtr live = found->second;
  ++live->users;
  Status locked = co_await live->turn.Lock(deadline);
  if (!locked) {
    --live->users;
    co_return Fail(Code::kDeadlineExceeded, "another call of this session did not end in time");
  }
  if (!live->gone) co_return live;
  live->turn.Unlock();
  --live->users;
  co_return LivePtr();
}

io::Task<Status> VtgateFront::Adopt(Live& live, const ::vtgate::Session& message, bool fresh) {
  vtgate::Session& session = live.session;
  session.SetFoundRows(message.options().client_found_rows());
  if (live.target != message.target_string()) {
    Status used = session.Use(message.target_string());
    if (!used) co_return used;
    live.target = message.target_string();
  }
  Deadline deadline = Deadline::In(30s);
  if (fresh) {
    std::string set = SetText(message);
    if (!set.empty()) {
      // Through the session's own SET, so that what a client wrote there is checked like any other.
      GatherSink sink(1 << 20);
      Status ran = co_await Run(live, set, Mode::kOne, sink, deadline);
      Status done = Outcome(std::move(ran), sink);
      if (!done) co_return done;
    }
    session.Recall(message.last_insert_id(), message.found_rows(), message.row_count());
  }
  std::string_view text;
  if (session.in_transaction() && !message.in_transaction()) {
    text = "ROLLBACK";  // the client knows of none, so it must not write into one
  } else if (fresh && message.in_transaction()) {
    text = "START TRANSACTION";  // begun elsewhere, and nothing was done in it yet
  }
  if (!text.empty()) {
    GatherSink sink(1 << 20);
    Status ran = co_await Run(live, text, Mode::kOne, sink, deadline);
    Status done = Outcome(std::move(ran), sink);
    if (!done) co_return done;
  }
  if (session.autocommit() != message.autocommit()) {
    GatherSink sink(1 << 20);
    text = message.autocommit() ? "SET autocommit = 1" : "SET autocommit = 0";
    Status ran = co_await Run(live, text, Mode::kOne, sink, deadline);
    Status done = Outcome(std::move(ran), sink);
    if (!done) co_return done;
  }
  co_return Status();
}

io::Task<Result<VtgateFront::LivePtr>> VtgateFront::Enter(const ::vtgate::Session& message,
                                                          const vtrpc::CallerID& caller,
                                                          std::string_view sql, Deadline deadline) {
  LivePtr live;
  if (!message.sessionuuid().empty()) {
    std::string uuid = message.sessionuuid();
    Result<LivePtr> found = co_await Find(std::move(uuid), deadline);
    if (!found) co_return Fail(found.error());
    live = *found;
  }
  bool fresh = live == nullptr;
  ::vtgate::Session state = message;
  bool lost = fresh ? OwnsConnection(message)
                    : (message.in_transaction() && !live->session.in_transaction()) ||
                          (message.in_reserved_conn() && live->session.pin().id == 0);
  if (lost && !IsRollback(sql)) {
    if (live) {
      live->turn.Unlock();
      --live->users;
    }
    co_return Fail(NotFound(message));
  }
  if (lost) state.set_in_transaction(false);  // what the client wants has happened already
  if (fresh && !options_.flavor && gate_.server_version.empty()) {
    Deadline patience = Deadline::In(vtgate::kVersionPatience).EarlierOf(deadline);
    bool known = co_await vtgate::WaitForVersion(gate_, patience);
    (void)known;
  }
  if (fresh) {
    Result<LivePtr> made = Make(caller);
    if (!made) co_return Fail(made.error());
    live = *made;
    ++live->users;
    bool locked = live->turn.TryLock();
    CHECK(locked);
  }
  Status adopted = co_await Adopt(*live, state, fresh);
  if (adopted) {
    live->used_at = loop_.Now();
    by_use_.splice(by_use_.end(), by_use_, live->place);
    Show(live);
    co_return live;
  }
  if (fresh) Forget(*live);
  if (live->gone) co_await live->session.Close();
  live->turn.Unlock();
  --live->users;
  co_return Fail(adopted.error());
}

io::Task<Status> VtgateFront::Run(Live& live, std::string_view sql, Mode mode,
                                  vtgate::AnswerSink& sink, Deadline deadline) {
  KillTimer timer(live.session, deadline);
  if (mode == Mode::kPrepare) {
    Status prepared = co_await live.session.Prepare(sql, sink);
    co_return prepared;
  }
  live.session.SetMultiStatements(mode == Mode::kMany);
  Status ran = co_await live.session.Query(sql, sink);
  co_return ran;
}

io::Task<Status> VtgateFront::Serve(::vtgate::Session* message, const vtrpc::CallerID& caller,
                                    std::string_view sql, Mode mode, vtgate::AnswerSink& sink,
                                    Deadline deadline) {
  Result<LivePtr> entered = co_await Enter(*message, caller, sql, deadline);
  if (!entered) {
    if (entered.error().code() == Code::kAborted) ShowGone(message);
    co_return Fail(entered.error());
  }
  LivePtr live = *entered;
  Status ran = co_await Run(*live, sql, mode, sink, deadline);
  co_await Leave(live, ran.has_value(), message);
  co_return ran;
}

io::Task<void> VtgateFront::Leave(LivePtr live, bool healthy, ::vtgate::Session* message) {
  vtgate::Session& session = live->session;
  bool ended = !healthy || session.closing() || live->killed;
  if (ended) {
    Forget(*live);
    co_await session.Close();
  }
  std::string target = session.target().ToString();
  if (target != live->shown_target) {
    // After USE, or at first: what the client wrote is kept while it means the same.
    Result<plan::SessionTarget> given = plan::ParseTarget(live->target);
    if (!given || *given != session.target()) live->target = target;
    live->shown_target = target;
  }
  if (message != nullptr) {
    message->set_target_string(live->target);
    message->set_sessionuuid(live->uuid);
    ShowState(session, message);
    if (ended) ShowGone(message);
  }
  live->used_at = loop_.Now();
  if (!live->gone) {
    by_use_.splice(by_use_.end(), by_use_, live->place);
    if (!live->Owns()) table_.Remove(live->id);
  }
  live->turn.Unlock();
  --live->users;
}

io::Task<void> VtgateFront::Sweep(io::Gate::Pass pass) {
  io::Gate::Pass held(std::move(pass));
  Duration shortest = std::min(options_.idle_timeout, options_.transaction_timeout);
  Duration step = std::clamp<Duration>(shortest / 4, 10ms, 1s);
  for (;;) {
    bool open = co_await io::Sleep(pass_, Deadline::In(step));
    if (!open) break;
    Time now = loop_.Now();
    std::vector<LivePtr> over;
    for (Live* one : by_use_) {
      Duration limit = one->Owns() ? options_.transaction_timeout : options_.idle_timeout;
      if (one->users == 0 && (one->killed || now - one->used_at >= limit)) {
        over.push_back(sessions_.at(one->uuid));
      }
    }
    for (LivePtr& live : over) {
      std::optional<io::Gate::Pass> another = pass_.Enter();
      if (!another) break;
      Forget(*live);
      io::Detach(End(live, std::move(*another)));
    }
  }
}

io::Task<void> VtgateFront::End(LivePtr live, io::Gate::Pass pass) {
  io::Gate::Pass held(std::move(pass));
  co_await live->session.Close();
}

}  // namespace paceline::rpc
