#include "rpc/query_statement.h"

#include <functional>

#include "base/strings.h"
#include "query.pb.h"
#include "rpc/result_codec.h"
#include "vtrpc.pb.h"

namespace paceline::rpc {
namespace {

// One call; cancelled with the client.
io::Task<Result<port::QueryEnd>> Call(port::QueryService& service, ServerCall& call,
                                      port::QueryRequest request, port::ResultSink& sink) {
  auto cancel = std::make_shared<port::Cancel>();
  call.OnCancel([cancel] { cancel->Request(); });
  request.cancel = cancel.get();
  Result<port::QueryEnd> end = co_await service.Execute(request, sink, call.deadline());
  cancel->SetHandler(nullptr);
  co_return end;
}

}  // namespace

port::Caller CallerOf(const vtrpc::CallerID& effective, const query::VTGateCallerID& immediate) {
  port::Caller caller;
  caller.principal = effective.principal();
  caller.user = immediate.username();
  caller.groups.assign(immediate.groups().begin(), immediate.groups().end());
  return caller;
}

Result<std::string> BeginText(const query::ExecuteOptions& options) {
  using Options = query::ExecuteOptions;
  if (options.transaction_isolation() == Options::CONSISTENT_SNAPSHOT_READ_ONLY) {
    return "start transaction with consistent snapshot, read only";
  }
  if (options.transaction_isolation() == Options::AUTOCOMMIT) return "";
  if (options.transaction_isolation() != Options::DEFAULT) {
    return Fail(Code::kUnimplemented,
                "isolation {} for one transaction: set @@transaction_isolation in the session",
                Options::TransactionIsolation_Name(options.transaction_isolation()));
  }
  std::string modes;
  for (int mode : options.transaction_access_mode()) {
    if (!modes.empty()) modes += ", ";
    modes += mode == Options::READ_ONLY    ? "read only"
             : mode == Options::READ_WRITE ? "read write"
                                           : "with consistent snapshot";
  }
  return modes.empty() ? "begin" : "start transaction " + modes;
}

bool NeedsReservation(std::string_view sql) {
  std::string lower = Lower(sql);
  return lower.find("get_lock(") != lower.npos || lower.find("temporary table") != lower.npos;
}

io::Task<Ran> Run(port::QueryService& service, ServerCall& call, Statement statement,
                  port::ResultSink& sink) {
  Ran ran;
  ran.pinned_id = statement.pinned_id;
  port::QueryRequest request;
  request.target = statement.target;
  request.caller = statement.caller;
  request.reserve = statement.reserve;
  request.found_rows = statement.found_rows;
  if (statement.pre.size() == 1) {
    auto settings = std::make_shared<port::Settings>();
    settings->apply = std::move(statement.pre[0]);
    settings->id = std::hash<std::string>()(settings->apply);
    request.settings = std::move(settings);
    statement.pre.clear();
  }
  // Everything that runs before the statement, in order; BEGIN goes with the first one behind the
  // settings.
  std::vector<std::string> first = std::move(statement.pre);
  size_t begin_at = first.size();
  for (std::string& text : statement.post) first.push_back(std::move(text));
  first.push_back(std::move(statement.text));
  for (size_t i = 0; i < first.size(); ++i) {
    request.text = first[i];
    request.begin = i == begin_at ? std::string_view(statement.begin) : std::string_view();
    request.pinned_id = ran.pinned_id;
    query::QueryResult ignored;
    CollectingSink discard(&ignored, kStreamQueueBytes);
    bool last = i + 1 == first.size();
    port::ResultSink* to = &sink;
    if (!last) to = &discard;
    Result<port::QueryEnd> end = co_await Call(service, call, request, *to);
    if (!end) {
      ran.status = Fail(end.error());
      co_return ran;
    }
    ran.pinned_id = end->pinned_id;
    ran.tablet = end->tablet;
    if (!last && !discard.status()) {
      ran.status = discard.status();
      co_return ran;
    }
  }
  co_return ran;
}

}  // namespace paceline::rpc
