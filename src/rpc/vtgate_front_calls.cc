// The calls of vtgateservice.Vitess, each a statement or several between Enter and Leave.
#include "rpc/bind_variables.h"
#include "rpc/error_codec.h"
#include "rpc/live_session.h"
#include "rpc/session_message.h"
#include "rpc/typed_sink.h"
#include "rpc/vtgate_front.h"
#include "vtrpc.pb.h"

namespace paceline::rpc {
namespace {

template <class Request>
::vtgate::Session SessionOf(const Request& request) {
  if (request.has_session()) return request.session();
  ::vtgate::Session fresh;
  fresh.set_autocommit(true);
  return fresh;
}

std::unexpected<Error> Stopping() {
  return Fail(Code::kUnavailable, "vtgate is shutting down; use another one");
}

// What went wrong, from the call or from the statement.
std::optional<Error> ErrorIn(const Status& ran, GatherSink& sink) {
  if (!ran) return ran.error();
  if (!sink.answers().empty()) return sink.answers().back().error;
  return std::nullopt;
}

class ExecuteStream final : public StreamSink {
 public:
  using Send = std::function<io::Task<Status>(const ::vtgate::StreamExecuteResponse&)>;
  explicit ExecuteStream(const Send& send) : send_(send) {}
  const std::optional<Error>& error() const { return error_; }

 private:
  io::Task<Status> Deliver(Piece& piece) override {
    if (piece.first) ++results_;
    if (piece.error) error_ = piece.error;
    // The contract has no place for further results here.
    if (piece.error || results_ > 1) co_return Status();
    ::vtgate::StreamExecuteResponse message;
    message.mutable_result()->Swap(&piece.result);
    Status sent = co_await send_(message);
    co_return sent;
  }
  const Send& send_;
  size_t results_ = 0;
  std::optional<Error> error_;
};

class MultiStream final : public StreamSink {
 public:
  using Send = std::function<io::Task<Status>(const ::vtgate::StreamExecuteMultiResponse&)>;
  explicit MultiStream(const Send& send) : send_(send) {}

 private:
  io::Task<Status> Deliver(Piece& piece) override {
    ::vtgate::StreamExecuteMultiResponse message;
    if (piece.error) {
      ToProto(*piece.error, message.mutable_result()->mutable_error());
    } else {
      message.mutable_result()->mutable_result()->Swap(&piece.result);
    }
    message.set_new_result(piece.first);
    message.set_more_results(piece.more);
    Status sent = co_await send_(message);
    co_return sent;
  }
  const Send& send_;
};

}  // namespace

io::Task<Status> VtgateFront::Execute(const ::vtgate::ExecuteRequest& request,
                                      ::vtgate::ExecuteResponse& response, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (!pass) co_return Stopping();
  *response.mutable_session() = SessionOf(request);
  Result<std::string> sql = FillIn(request.query());
  if (!sql) {
    ToProto(sql.error(), response.mutable_error());
    co_return Status();
  }
  GatherSink sink(options_.result_bytes_max);
  Status ran = co_await Serve(response.mutable_session(), request.caller_id(), *sql, Mode::kOne,
                              sink, deadline);
  std::optional<Error> error = ErrorIn(ran, sink);
  if (error) {
    ToProto(*error, response.mutable_error());
  } else if (!sink.answers().empty()) {
    response.mutable_result()->Swap(&sink.answers().front().result);
  }
  co_return Status();
}

io::Task<Status> VtgateFront::ExecuteBatch(const ::vtgate::ExecuteBatchRequest& request,
                                           ::vtgate::ExecuteBatchResponse& response,
                                           Deadline deadline) {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (!pass) co_return Stopping();
  ::vtgate::Session* session = response.mutable_session();
  *session = SessionOf(request);
  std::string_view first =
      request.queries_size() > 0 ? std::string_view(request.queries(0).sql()) : std::string_view();
  Result<LivePtr> entered = co_await Enter(*session, request.caller_id(), first, deadline);
  if (!entered) {
    if (entered.error().code() == Code::kAborted) ShowGone(session);
    ToProto(entered.error(), response.mutable_error());
    co_return Status();
  }
  LivePtr live = *entered;
  bool healthy = true;
  std::optional<Error> ended;  // an error took the transaction with it: nothing may run outside it
  size_t room = options_.result_bytes_max;
  for (const query::BoundQuery& query : request.queries()) {
    query::ResultWithError* result = response.add_results();
    if (ended) {
      ToProto(*ended, result->mutable_error());
      continue;
    }
    Result<std::string> sql = FillIn(query);
    if (!sql) {
      ToProto(sql.error(), result->mutable_error());
      continue;
    }
    bool in_transaction = live->session.in_transaction();
    GatherSink sink(room);
    Status ran = co_await Run(*live, *sql, Mode::kOne, sink, deadline);
    room -= std::min(room, sink.bytes());
    std::optional<Error> error = ErrorIn(ran, sink);
    healthy = ran.has_value();
    if (error) {
      ToProto(*error, result->mutable_error());
      bool lost = in_transaction && !live->session.in_transaction();
      if (!healthy || lost || live->session.closing()) {
        ended = Error(Code::kAborted,
                      "not run: the statement before it in this batch ended the "
                      "transaction or the session");
      }
    } else if (!sink.answers().empty()) {
      result->mutable_result()->Swap(&sink.answers().front().result);
    }
  }
  co_await Leave(live, healthy, session);
  co_return Status();
}

io::Task<Status> VtgateFront::ExecuteMulti(const ::vtgate::ExecuteMultiRequest& request,
                                           ::vtgate::ExecuteMultiResponse& response,
                                           Deadline deadline) {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (!pass) co_return Stopping();
  *response.mutable_session() = SessionOf(request);
  GatherSink sink(options_.result_bytes_max);
  Status ran = co_await Serve(response.mutable_session(), request.caller_id(), request.sql(),
                              Mode::kMany, sink, deadline);
  for (GatherSink::Answer& answer : sink.answers()) {
    if (!answer.error) response.add_results()->Swap(&answer.result);
  }
  std::optional<Error> error = ErrorIn(ran, sink);
  if (error) ToProto(*error, response.mutable_error());
  co_return Status();
}

io::Task<Status> VtgateFront::Prepare(const ::vtgate::PrepareRequest& request,
                                      ::vtgate::PrepareResponse& response, Deadline deadline) {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (!pass) co_return Stopping();
  *response.mutable_session() = SessionOf(request);
  std::string sql = PlacesAsMarks(request.query().sql());
  GatherSink sink(options_.result_bytes_max);
  Status ran = co_await Serve(response.mutable_session(), request.caller_id(), sql, Mode::kPrepare,
                              sink, deadline);
  std::optional<Error> error = ErrorIn(ran, sink);
  if (error) {
    ToProto(*error, response.mutable_error());
  } else if (!sink.answers().empty()) {
    response.mutable_fields()->Swap(sink.answers().front().result.mutable_fields());
    response.set_params_count(sink.parameter_count());
  }
  co_return Status();
}

io::Task<Status> VtgateFront::CloseSession(const ::vtgate::CloseSessionRequest& request,
                                           ::vtgate::CloseSessionResponse& response,
                                           Deadline deadline) {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (!pass) co_return Stopping();
  std::string uuid = request.session().sessionuuid();
  Result<LivePtr> found = co_await Find(std::move(uuid), deadline);
  if (!found) {
    ToProto(found.error(), response.mutable_error());
    co_return Status();
  }
  LivePtr live = *found;
  if (live) co_await Leave(live, false, nullptr);
  co_return Status();
}

io::Task<Status> VtgateFront::StreamExecute(
    const ::vtgate::StreamExecuteRequest& request,
    std::function<io::Task<Status>(const ::vtgate::StreamExecuteResponse&)> send,
    Deadline deadline) {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (!pass) co_return Stopping();
  ::vtgate::Session session = SessionOf(request);
  Result<std::string> sql = FillIn(request.query());
  if (!sql) co_return Fail(sql.error());
  ExecuteStream sink(send);
  Status ran = co_await Serve(&session, request.caller_id(), *sql, Mode::kOne, sink, deadline);
  Status flushed = co_await sink.WaitNotFull(deadline);
  if (!flushed) co_return flushed;
  // Last, and also where the statement failed: it may have ended a transaction.
  ::vtgate::StreamExecuteResponse last;
  last.mutable_session()->Swap(&session);
  Status sent = co_await send(last);
  if (!sent) co_return sent;
  if (!ran) co_return ran;
  if (sink.error()) co_return Fail(*sink.error());
  co_return Status();
}

io::Task<Status> VtgateFront::StreamExecuteMulti(
    const ::vtgate::StreamExecuteMultiRequest& request,
    std::function<io::Task<Status>(const ::vtgate::StreamExecuteMultiResponse&)> send,
    Deadline deadline) {
  std::optional<io::Gate::Pass> pass = pass_.Enter();
  if (!pass) co_return Stopping();
  ::vtgate::Session session = SessionOf(request);
  MultiStream sink(send);
  Status ran =
      co_await Serve(&session, request.caller_id(), request.sql(), Mode::kMany, sink, deadline);
  Status flushed = co_await sink.WaitNotFull(deadline);
  if (!flushed) co_return flushed;
  if (!ran) {
    ::vtgate::StreamExecuteMultiResponse failed;
    ToProto(ran.error(), failed.mutable_result()->mutable_error());
    Status told = co_await send(failed);
    if (!told) co_return told;
  }
  ::vtgate::StreamExecuteMultiResponse last;
  last.mutable_session()->Swap(&session);
  Status sent = co_await send(last);
  co_return sent;
}

}  // namespace paceline::rpc
