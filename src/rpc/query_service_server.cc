#include <deque>

#include "base/strings.h"
#include "query.pb.h"
#include "rpc/bind_variables.h"
#include "rpc/error_codec.h"
#include "rpc/health_fan.h"
#include "rpc/method.h"
#include "rpc/query_messages.h"
#include "rpc/query_service.h"
#include "rpc/query_statement.h"
#include "rpc/result_codec.h"

namespace paceline::rpc {
namespace {

#define QUERY_PATH "/queryservice.Query/"

// Rows are sent when this much has come together (Vitess's stream_buffer_size).
constexpr size_t kChunkBytes = 32 * 1024;

struct Shape {
  bool begin = false;
  bool reserve = false;
};

template <class Request>
Result<Statement> StatementOf(const Request& request, Shape shape) {
  Statement statement;
  statement.target = FromProto(request.target());
  statement.caller = CallerOf(request.effective_caller_id(), request.immediate_caller_id());
  ASSIGN_OR_RETURN(statement.text, FillIn(request.query()));
  statement.found_rows = request.options().client_found_rows();
  if (shape.begin) {
    ASSIGN_OR_RETURN(statement.begin, BeginText(request.options()));
  }
  if constexpr (requires { request.transaction_id(); }) {
    statement.pinned_id = static_cast<uint64_t>(request.transaction_id());
  }
  if constexpr (requires { request.reserved_id(); }) {
    if (request.reserved_id() != 0)
      statement.pinned_id = static_cast<uint64_t>(request.reserved_id());
  }
  if constexpr (requires { request.pre_queries(); }) {
    std::vector<std::string>& to = shape.reserve ? statement.pre : statement.post;
    to.assign(request.pre_queries().begin(), request.pre_queries().end());
  }
  if constexpr (requires { request.post_begin_queries(); }) {
    statement.post.assign(request.post_begin_queries().begin(), request.post_begin_queries().end());
  }
  // One text of settings needs no connection of its own.
  statement.reserve =
      shape.reserve && (statement.pre.size() != 1 || NeedsReservation(statement.text) ||
                        request.options().has_created_temp_tables());
  return statement;
}

// Tells the connection's ids and, where the message has a place for it, an error that must not hide
// them. Errors: those that end the call.
template <class Response>
Status Conclude(const Ran& ran, Shape shape, bool reserved, const Status& status,
                Response& response) {
  if constexpr (requires { response.mutable_tablet_alias(); }) {
    ToProto(ran.tablet, response.mutable_tablet_alias());
  }
  if constexpr (requires { response.set_transaction_id(0); }) {
    if (shape.begin) response.set_transaction_id(static_cast<int64_t>(ran.pinned_id));
  }
  if constexpr (requires { response.set_reserved_id(0); }) {
    if (reserved) response.set_reserved_id(static_cast<int64_t>(ran.pinned_id));
  }
  if (status) return Status();
  if constexpr (requires { response.mutable_error(); }) {
    if (ran.pinned_id != 0) {
      ToProto(status.error(), response.mutable_error());
      return Status();
    }
  }
  return status;
}

template <class Request, class Response>
io::Task<Status> Unary(port::QueryService& service, ServerCall& call, const Request& request,
                       Response& response, Shape shape) {
  Result<Statement> statement = StatementOf(request, shape);
  if (!statement) co_return Fail(statement.error());
  bool reserved = statement->reserve;
  CollectingSink sink(response.mutable_result(), kUnaryResultBytesMax);
  Ran ran = co_await Run(service, call, std::move(*statement), sink);
  Status status = ran.status ? sink.status() : ran.status;
  if (!status) response.clear_result();
  co_return Conclude(ran, shape, reserved, status, response);
}

// Gathers rows into messages. What the client is too slow for waits here, and the producer with it.
template <class Response>
class StreamSink final : public port::ResultSink {
 public:
  explicit StreamSink(ServerCall& call) : call_(call) {}
  void OnColumns(uint64_t, std::string_view packets) override {
    if (results_ > 0 || !status_) return;
    status_ = reader_.AddColumns(packets, chunk_.mutable_result());
    Push();
  }
  void OnRows(std::string_view bytes) override {
    if (results_ > 0 || !status_) return;
    status_ = reader_.AddRows(bytes, chunk_.mutable_result());
    bytes_ += bytes.size();
    if (bytes_ >= kChunkBytes) Push();
  }
  void OnEnd(const mysql::wire::Terminator& end, bool) override {
    if (end.is_error()) {
      CollectingSink reader(nullptr, 0);
      reader.OnEnd(end, true);
      status_ = reader.status();
    } else if (results_ == 0 && status_) {
      ResultReader::AddEnd(end, chunk_.mutable_result());
      Push();
    }
    ++results_;
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  bool Full() const override { return !waiting_.empty(); }
  io::Task<Status> WaitNotFull(Deadline) override {
    while (!waiting_.empty()) {
      Response message = std::move(waiting_.front());
      waiting_.pop_front();
      Status sent = co_await call_.Send(message);
      if (!sent) co_return sent;
    }
    co_return Status();
  }
  const Status& status() const { return status_; }

 private:
  void Push() {
    if (!waiting_.empty() || !call_.TrySend(chunk_)) waiting_.push_back(std::move(chunk_));
    chunk_.Clear();
    bytes_ = 0;
  }
  ServerCall& call_;
  ResultReader reader_;
  Response chunk_;
  size_t bytes_ = 0;
  size_t results_ = 0;
  std::deque<Response> waiting_;
  Status status_;
};

template <class Request, class Response>
io::Task<Status> Streaming(port::QueryService& service, ServerCall& call, const Request& request,
                           Shape shape) {
  Result<Statement> statement = StatementOf(request, shape);
  if (!statement) co_return Fail(statement.error());
  bool reserved = statement->reserve;
  StreamSink<Response> sink(call);
  Ran ran = co_await Run(service, call, std::move(*statement), sink);
  Status flushed = co_await sink.WaitNotFull(call.deadline());
  if (!flushed) co_return flushed;
  Status status = ran.status ? sink.status() : ran.status;
  Response last;
  Status ended = Conclude(ran, shape, reserved, status, last);
  if (!ended || !(shape.begin || shape.reserve)) co_return ended;
  Status sent = co_await call.Send(last);
  co_return sent;
}

// BEGIN, COMMIT, ROLLBACK: a text without rows.
template <class Request>
io::Task<Result<Ran>> Simple(port::QueryService& service, ServerCall& call, const Request& request,
                             std::string text, uint64_t pinned_id) {
  Statement statement;
  statement.target = FromProto(request.target());
  statement.caller = CallerOf(request.effective_caller_id(), request.immediate_caller_id());
  statement.text = std::move(text);
  statement.pinned_id = pinned_id;
  query::QueryResult none;
  CollectingSink sink(&none, kChunkBytes);
  Ran ran = co_await Run(service, call, std::move(statement), sink);
  if (!ran.status) co_return Fail(ran.status.error());
  if (!sink.status()) co_return Fail(sink.status().error());
  co_return ran;
}

io::Task<Status> Begin(port::QueryService& service, ServerCall& call,
                       const query::BeginRequest& request, query::BeginResponse& response) {
  Result<std::string> text = BeginText(request.options());
  if (!text) co_return Fail(text.error());
  Result<Ran> ran = co_await Simple(service, call, request, std::move(*text), 0);
  if (!ran) co_return Fail(ran.error());
  co_return Conclude(*ran, Shape{.begin = true}, false, Status(), response);
}

template <class Request, class Response>
io::Task<Status> EndTransaction(port::QueryService& service, ServerCall& call,
                                const Request& request, Response& response, std::string text) {
  auto pinned_id = static_cast<uint64_t>(request.transaction_id());
  Result<Ran> ran = co_await Simple(service, call, request, std::move(text), pinned_id);
  if (!ran) co_return Fail(ran.error());
  response.set_reserved_id(static_cast<int64_t>(ran->pinned_id));
  co_return Status();
}

io::Task<Status> Release(port::QueryService& service, ServerCall& call,
                         const query::ReleaseRequest& request) {
  int64_t id = request.reserved_id() != 0 ? request.reserved_id() : request.transaction_id();
  record::Target target = FromProto(request.target());
  Status status =
      co_await service.Release(std::move(target), static_cast<uint64_t>(id), call.deadline());
  co_return status;
}

std::string TablesQuery(const query::GetSchemaRequest& request) {
  std::string sql =
      "select table_name from information_schema.tables where table_schema = database()";
  if (request.table_type() == query::VIEWS) sql += " and table_type = 'VIEW'";
  if (request.table_type() == query::TABLES) sql += " and table_type = 'BASE TABLE'";
  std::vector<std::string> names;
  for (const std::string& name : request.table_names()) names.push_back(QuoteText(name));
  if (!names.empty()) sql += " and table_name in (" + Join(names, ", ") + ")";
  return sql;
}

io::Task<Status> Fetch(port::QueryService& service, ServerCall& call, record::Target target,
                       std::string sql, query::QueryResult& result) {
  Statement statement;
  statement.target = std::move(target);
  statement.text = std::move(sql);
  CollectingSink sink(&result, kUnaryResultBytesMax);
  Ran ran = co_await Run(service, call, std::move(statement), sink);
  co_return ran.status ? sink.status() : ran.status;
}

io::Task<Status> GetSchema(port::QueryService& service, ServerCall& call,
                           const query::GetSchemaRequest& request) {
  // Functions loaded into mysqld are not tracked.
  if (request.table_type() == query::UDFS) co_return Status();
  record::Target target = FromProto(request.target());
  query::QueryResult tables;
  Status listed = co_await Fetch(service, call, target, TablesQuery(request), tables);
  if (!listed) co_return listed;
  query::GetSchemaResponse response;
  for (const query::Row& row : tables.rows()) {
    query::QueryResult created;
    std::string sql = "show create table " + QuoteIdentifier(row.values());
    Status shown = co_await Fetch(service, call, target, std::move(sql), created);
    // Dropped since it was listed.
    if (!shown && shown.error().mysql_errno() == 1146) continue;
    if (!shown) co_return shown;
    if (created.rows_size() != 1 || created.rows(0).lengths_size() < 2) continue;
    const query::Row& text = created.rows(0);
    (*response.mutable_table_definition())[row.values()] = text.values().substr(
        static_cast<size_t>(text.lengths(0)), static_cast<size_t>(text.lengths(1)));
    if (response.ByteSizeLong() < kChunkBytes) continue;
    Status sent = co_await call.Send(response);
    if (!sent) co_return sent;
    response.Clear();
  }
  Status sent = co_await call.Send(response);
  co_return sent;
}

}  // namespace

void AddQueryService(Server& server, io::Loop& loop, port::QueryService& service) {
  port::QueryService* to = &service;
#define PACELINE_UNARY(Method, ...)                                                  \
  server.Add(loop, UnaryHandler<query::Method##Request, query::Method##Response>(    \
                       QUERY_PATH #Method,                                           \
                       [to](ServerCall& call, const query::Method##Request& request, \
                            query::Method##Response& response) { return __VA_ARGS__; }))
#define PACELINE_EXECUTE(Method, begin, reserve) \
  PACELINE_UNARY(Method, Unary(*to, call, request, response, Shape{begin, reserve}))
#define PACELINE_STREAM(Method, begin, reserve)                                             \
  server.Add(loop, StreamHandler<query::Method##Request>(                                   \
                       QUERY_PATH #Method,                                                  \
                       [to](ServerCall& call, const query::Method##Request& request) {      \
                         return Streaming<query::Method##Request, query::Method##Response>( \
                             *to, call, request, Shape{begin, reserve});                    \
                       }))
  PACELINE_EXECUTE(Execute, false, false);
  PACELINE_EXECUTE(BeginExecute, true, false);
  PACELINE_EXECUTE(ReserveExecute, false, true);
  PACELINE_EXECUTE(ReserveBeginExecute, true, true);
  PACELINE_STREAM(StreamExecute, false, false);
  PACELINE_STREAM(BeginStreamExecute, true, false);
  PACELINE_STREAM(ReserveStreamExecute, false, true);
  PACELINE_STREAM(ReserveBeginStreamExecute, true, true);
  PACELINE_UNARY(Begin, Begin(*to, call, request, response));
  PACELINE_UNARY(Commit, EndTransaction(*to, call, request, response, "commit"));
  PACELINE_UNARY(Rollback, EndTransaction(*to, call, request, response, "rollback"));
  PACELINE_UNARY(Release, ((void)response, Release(*to, call, request)));
#undef PACELINE_UNARY
#undef PACELINE_EXECUTE
#undef PACELINE_STREAM
  server.Add(loop, StreamHandler<query::GetSchemaRequest>(
                       QUERY_PATH "GetSchema",
                       [to](ServerCall& call, const query::GetSchemaRequest& request) {
                         return GetSchema(*to, call, request);
                       }));
  auto fan = std::make_shared<HealthFan>(service);
  server.Add(loop, StreamHandler<query::StreamHealthRequest>(
                       QUERY_PATH "StreamHealth",
                       [fan](ServerCall& call, const query::StreamHealthRequest&) {
                         return HealthFan::Serve(fan, call);
                       }));
}

}  // namespace paceline::rpc
