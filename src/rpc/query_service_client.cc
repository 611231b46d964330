#include <unordered_map>

#include "base/strings.h"
#include "mysql/wire/ok_packet.h"
#include "query.pb.h"
#include "rpc/error_codec.h"
#include "rpc/query_messages.h"
#include "rpc/query_service.h"
#include "rpc/result_codec.h"

namespace paceline::rpc {
namespace {

#define QUERY_PATH "/queryservice.Query/"

enum class Verb : uint8_t { kBegin, kCommit, kRollback, kSelect, kOther };

// How a statement must be carried. A SELECT is only one that streams: without locks, INTO and
// functions that pin.
Verb VerbOf(std::string_view text) {
  text = Trim(text);
  while (text.ends_with(';')) text = Trim(text.substr(0, text.size() - 1));
  if (EqualsIgnoreCase(text, "begin") || EqualsIgnoreCase(text, "begin work") ||
      StartsWithIgnoreCase(text, "start transaction")) {
    return Verb::kBegin;
  }
  if (EqualsIgnoreCase(text, "commit") || EqualsIgnoreCase(text, "commit work"))
    return Verb::kCommit;
  if (EqualsIgnoreCase(text, "rollback") || EqualsIgnoreCase(text, "rollback work"))
    return Verb::kRollback;
  if (!StartsWithIgnoreCase(text, "select ") && !StartsWithIgnoreCase(text, "select\n"))
    return Verb::kOther;
  std::string lower = Lower(text);
  for (std::string_view word :
       {" for ", " into ", "lock", "last_insert_id", "found_rows", "row_count"}) {
    if (lower.find(word) != lower.npos) return Verb::kOther;
  }
  return Verb::kSelect;
}

// What Vitess knows a pinned connection by. A reserved one gets a new id with each transaction's
// end.
struct Ids {
  int64_t transaction_id = 0;
  int64_t reserved_id = 0;
  uint64_t pinned() const {
    return static_cast<uint64_t>(reserved_id != 0 ? reserved_id : transaction_id);
  }
};

void SetTransactionMode(std::string_view begin, query::ExecuteOptions* options) {
  std::string lower = Lower(begin);
  if (lower.find("consistent snapshot") != lower.npos) {
    options->add_transaction_access_mode(query::ExecuteOptions::CONSISTENT_SNAPSHOT);
  }
  if (lower.find("read only") != lower.npos)
    options->add_transaction_access_mode(query::ExecuteOptions::READ_ONLY);
}

// gRPC's words for a connection that was never made: nothing was sent, so the statement may run
// elsewhere.
Error ForGate(const Error& error) {
  bool never_sent = error.code() == Code::kUnavailable &&
                    error.message().find("failed to connect to all addresses") != std::string::npos;
  return never_sent ? Error(Code::kClusterEvent, error.message()) : error;
}

// mysqld's own answer goes to the sink; errors of a client library (2000 to 2999) are the tablet's
// trouble.
bool IsAnswer(const Error& error) {
  return error.from_mysql() && (error.mysql_errno() < 2000 || error.mysql_errno() > 2999);
}

template <class Request>
void SetCommon(const port::QueryRequest& from, Request* to) {
  ToProto(from.target, to->mutable_target());
  to->mutable_effective_caller_id()->set_principal(from.caller.principal);
  to->mutable_immediate_caller_id()->set_username(from.caller.user);
  for (const std::string& group : from.caller.groups)
    to->mutable_immediate_caller_id()->add_groups(group);
}

template <class Request>
Request StatementRequest(const port::QueryRequest& from, std::string_view text, const Ids& ids) {
  Request to;
  SetCommon(from, &to);
  to.mutable_query()->set_sql(text.data(), text.size());
  to.mutable_options()->set_included_fields(query::ExecuteOptions::ALL);
  to.mutable_options()->set_client_found_rows(from.found_rows);
  SetTransactionMode(from.begin, to.mutable_options());
  if constexpr (requires { to.set_transaction_id(0); }) to.set_transaction_id(ids.transaction_id);
  if constexpr (requires { to.set_reserved_id(0); }) to.set_reserved_id(ids.reserved_id);
  constexpr bool kReserves = !requires { to.set_reserved_id(0); };
  if constexpr (kReserves) {
    if (from.settings != nullptr && !from.settings->apply.empty())
      to.add_pre_queries(from.settings->apply);
  }
  return to;
}

class Client final : public port::QueryService {
 public:
  explicit Client(ChannelPtr channel) : channel_(std::move(channel)) {}

  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override {
    if (request.kind != port::StatementKind::kText) {
      co_return Fail(Code::kUnimplemented, "{}: prepared statements need the native data plane",
                     channel_->address());
    }
    Ids ids;
    if (request.pinned_id != 0) {
      auto found = pinned_.find(request.pinned_id);
      if (found == pinned_.end()) {
        co_return Fail(Code::kAborted, "connection {} of {} ended", request.pinned_id,
                       channel_->address());
      }
      ids = found->second;
    }
    Verb verb = VerbOf(request.text);
    io::Task<Result<port::QueryEnd>> task;
    if (verb == Verb::kBegin) {
      task = Begin(request, ids, sink, deadline);
    } else if (verb == Verb::kCommit) {
      task = EndTransaction<query::CommitRequest, query::CommitResponse>(
          QUERY_PATH "Commit", request, ids, sink, deadline);
    } else if (verb == Verb::kRollback) {
      task = EndTransaction<query::RollbackRequest, query::RollbackResponse>(
          QUERY_PATH "Rollback", request, ids, sink, deadline);
    } else {
      task = Statement(request, request.text, verb, ids, sink, deadline);
    }
    Result<port::QueryEnd> end = co_await task;
    co_return end;
  }

  io::Task<Status> Release(record::Target target, uint64_t pinned_id, Deadline deadline) override {
    auto found = pinned_.find(pinned_id);
    if (found == pinned_.end()) co_return Status();
    Ids ids = found->second;
    pinned_.erase(found);
    Status status;
    if (ids.reserved_id != 0) {
      query::ReleaseRequest request;
      ToProto(target, request.mutable_target());
      request.set_transaction_id(ids.transaction_id);
      request.set_reserved_id(ids.reserved_id);
      query::ReleaseResponse response;
      status = co_await channel_->Unary(QUERY_PATH "Release", request, response, deadline);
    } else {
      query::RollbackRequest request;
      ToProto(target, request.mutable_target());
      request.set_transaction_id(ids.transaction_id);
      query::RollbackResponse response;
      status = co_await channel_->Unary(QUERY_PATH "Rollback", request, response, deadline);
    }
    bool gone = !status && (status.error().code() == Code::kAborted ||
                            status.error().code() == Code::kNotFound);
    if (gone) co_return Status();
    co_return status;
  }

  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline deadline) override {
    query::StreamHealthRequest request;
    std::unique_ptr<ClientStream> stream =
        channel_->Stream(QUERY_PATH "StreamHealth", request, deadline);
    query::StreamHealthResponse message;
    for (;;) {
      Result<bool> more = co_await stream->Next(message, deadline);
      if (!more) co_return Fail(more.error());
      if (!*more)
        co_return Fail(Code::kUnavailable, "{}: the tablet ended its health stream",
                       channel_->address());
      port::TabletHealth health = FromProto(message);
      sink.OnHealth(health);
    }
  }

  io::Task<void> Close() override { co_await channel_->Close(); }

 private:
  // The connection's ids after a call.
  port::QueryEnd Pin(uint64_t before, const Ids& ids) {
    if (before != 0 && before != ids.pinned()) pinned_.erase(before);
    port::QueryEnd end;
    end.pinned_id = ids.pinned();
    if (end.pinned_id != 0) pinned_[end.pinned_id] = ids;
    return end;
  }
  static uint16_t Flags(const Ids& ids) {
    uint16_t flags = mysql::wire::kStatusAutocommit;
    if (ids.transaction_id != 0) flags |= mysql::wire::kStatusInTransaction;
    return flags;
  }
  // How a failed call ends: as the statement's answer, or as the call's error. One that Vitess says
  // is gone is forgotten.
  Result<port::QueryEnd> Failed(const Error& error, uint64_t before, const Ids& ids,
                                port::ResultSink& sink) {
    if (IsAnswer(error)) {
      sink.OnEnd(mysql::wire::TerminatorOf(error), true);
      return Pin(before, ids);
    }
    if (error.code() == Code::kAborted) pinned_.erase(before);
    return Fail(ForGate(error));
  }

  template <class Request, class Response>
  io::Task<Result<port::QueryEnd>> Call(const char* method, const port::QueryRequest& from,
                                        std::string_view text, Ids ids, port::ResultSink* sink,
                                        port::ResultSink& errors, Deadline deadline) {
    uint64_t before = ids.pinned();
    auto request = StatementRequest<Request>(from, text, ids);
    Response response;
    std::function<void()> cancel;
    if (from.cancel != nullptr) {
      from.cancel->SetHandler([&cancel] {
        if (cancel) cancel();
      });
    }
    Status status = co_await channel_->Unary(method, request, response, deadline, &cancel);
    if (from.cancel != nullptr) from.cancel->SetHandler(nullptr);
    if (!status) co_return Failed(status.error(), before, ids, errors);
    if constexpr (requires { response.transaction_id(); }) {
      if (response.transaction_id() != 0) ids.transaction_id = response.transaction_id();
    }
    if constexpr (requires { response.reserved_id(); }) {
      if (response.reserved_id() != 0) ids.reserved_id = response.reserved_id();
    }
    if constexpr (requires { response.has_error(); }) {
      if (response.has_error() && response.error().code() != vtrpc::OK) {
        Error error = rpc::FromProto(response.error());
        Result<port::QueryEnd> end = Failed(error, before, ids, errors);
        // The transaction began all the same, and its owner must learn of it to end it.
        if (!end) Pin(before, ids);
        co_return end;
      }
    }
    if (sink != nullptr) {
      ResultWriter writer;
      Status written = writer.Write(response.result(), *sink);
      if (!written) co_return Fail(written.error());
      writer.End(Flags(ids), *sink);
    }
    port::QueryEnd end = Pin(before, ids);
    if constexpr (requires { response.tablet_alias(); })
      end.tablet = rpc::FromProto(response.tablet_alias());
    co_return end;
  }

  io::Task<Result<port::QueryEnd>> Stream(const port::QueryRequest& from, std::string_view text,
                                          Ids ids, port::ResultSink& sink, Deadline deadline) {
    uint64_t before = ids.pinned();
    auto request = StatementRequest<query::StreamExecuteRequest>(from, text, ids);
    std::unique_ptr<ClientStream> stream =
        channel_->Stream(QUERY_PATH "StreamExecute", request, deadline);
    ClientStream* raw = stream.get();
    if (from.cancel != nullptr) from.cancel->SetHandler([raw] { raw->Cancel(); });
    ResultWriter writer;
    Status status;
    for (;;) {
      query::StreamExecuteResponse message;
      Result<bool> more = co_await stream->Next(message, deadline);
      if (!more) {
        status = Fail(more.error());
        break;
      }
      if (!*more) break;
      status = writer.Write(message.result(), sink);
      if (status && sink.Full()) status = co_await sink.WaitNotFull(deadline);
      if (!status) break;
    }
    if (from.cancel != nullptr) from.cancel->SetHandler(nullptr);
    if (!status) co_return Failed(status.error(), before, ids, sink);
    writer.End(Flags(ids), sink);
    co_return Pin(before, ids);
  }

  io::Task<Result<port::QueryEnd>> Statement(const port::QueryRequest& request,
                                             std::string_view text, Verb verb, Ids ids,
                                             port::ResultSink& sink, Deadline deadline) {
    return Route(request, text, verb, ids, &sink, sink, deadline);
  }

  // `sink` null: the result is dropped, errors go to `errors`.
  io::Task<Result<port::QueryEnd>> Route(const port::QueryRequest& request, std::string_view text,
                                         Verb verb, Ids ids, port::ResultSink* sink,
                                         port::ResultSink& errors, Deadline deadline) {
    bool begins = (verb == Verb::kBegin || !request.begin.empty()) && ids.transaction_id == 0;
    bool settings = request.settings != nullptr && !request.settings->apply.empty();
    bool reserves = (request.reserve || settings) && ids.reserved_id == 0;
    if (begins && reserves) {
      return Call<query::ReserveBeginExecuteRequest, query::ReserveBeginExecuteResponse>(
          QUERY_PATH "ReserveBeginExecute", request, text, ids, sink, errors, deadline);
    }
    if (begins) {
      return Call<query::BeginExecuteRequest, query::BeginExecuteResponse>(
          QUERY_PATH "BeginExecute", request, text, ids, sink, errors, deadline);
    }
    if (reserves) {
      return Call<query::ReserveExecuteRequest, query::ReserveExecuteResponse>(
          QUERY_PATH "ReserveExecute", request, text, ids, sink, errors, deadline);
    }
    if (verb == Verb::kSelect && sink != nullptr)
      return Stream(request, text, ids, *sink, deadline);
    return Call<query::ExecuteRequest, query::ExecuteResponse>(QUERY_PATH "Execute", request, text,
                                                               ids, sink, errors, deadline);
  }

  // Vitess has no BEGIN on a connection with state, so it travels before a statement that does
  // nothing.
  io::Task<Result<port::QueryEnd>> Begin(const port::QueryRequest& request, Ids ids,
                                         port::ResultSink& sink, Deadline deadline) {
    if (ids.transaction_id != 0) {
      // BEGIN in a transaction commits it.
      query::QueryResult none;
      CollectingSink ignored(&none, 1024);
      Result<port::QueryEnd> ended =
          co_await EndTransaction<query::CommitRequest, query::CommitResponse>(
              QUERY_PATH "Commit", request, ids, ignored, deadline);
      if (!ended) co_return Fail(ended.error());
      if (!ignored.status()) co_return Fail(ignored.status().error());
      ids = Ids{};
      auto found = pinned_.find(ended->pinned_id);
      if (found != pinned_.end()) ids = found->second;
    }
    port::QueryRequest with_mode = request;
    with_mode.begin = request.text;
    Watch watch(sink);
    Result<port::QueryEnd> end =
        co_await Route(with_mode, "select 1", Verb::kBegin, ids, nullptr, watch, deadline);
    if (!end) co_return Fail(end.error());
    if (!watch.failed) {
      mysql::wire::Terminator ok;
      ok.sequence = 1;
      ok.status_flags = mysql::wire::kStatusAutocommit | mysql::wire::kStatusInTransaction;
      sink.OnEnd(ok, true);
    }
    co_return end;
  }

  template <class Request, class Response>
  io::Task<Result<port::QueryEnd>> EndTransaction(const char* method,
                                                  const port::QueryRequest& from, Ids ids,
                                                  port::ResultSink& sink, Deadline deadline) {
    uint64_t before = ids.pinned();
    if (ids.transaction_id != 0) {
      Request request;
      SetCommon(from, &request);
      request.set_transaction_id(ids.transaction_id);
      Response response;
      Status status = co_await channel_->Unary(method, request, response, deadline);
      // Vitess ends the transaction also when COMMIT fails.
      if (!status) {
        ids.transaction_id = 0;
        co_return Failed(status.error(), before, ids, sink);
      }
      ids = Ids{0, response.reserved_id()};
    }
    mysql::wire::Terminator ok;
    ok.sequence = 1;
    ok.status_flags = mysql::wire::kStatusAutocommit;
    sink.OnEnd(ok, true);
    co_return Pin(before, ids);
  }

  // Passes an error on and remembers that there was one.
  struct Watch final : port::ResultSink {
    explicit Watch(port::ResultSink& to) : to(to) {}
    void OnColumns(uint64_t, std::string_view) override {}
    void OnRows(std::string_view) override {}
    void OnEnd(const mysql::wire::Terminator& end, bool last) override {
      failed = true;
      to.OnEnd(end, last);
    }
    void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
    port::ResultSink& to;
    bool failed = false;
  };

  ChannelPtr channel_;
  std::unordered_map<uint64_t, Ids> pinned_;
};

}  // namespace

port::QueryServicePtr NewQueryServiceClient(ChannelPtr channel) {
  return std::make_shared<Client>(std::move(channel));
}

}  // namespace paceline::rpc
