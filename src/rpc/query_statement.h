// rpc/query_statement.h - one statement of a foreign gate as calls of port::QueryService: settings,
// BEGIN with what follows it, the statement itself. Used by query_service_server.cc alone.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "io/task.h"
#include "port/query_service.h"
#include "rpc/server.h"

namespace query {
class BoundQuery;
class ExecuteOptions;
class VTGateCallerID;
}  // namespace query
namespace vtrpc {
class CallerID;
}

namespace paceline::rpc {

struct Statement {
  record::Target target;
  port::Caller caller;
  std::string text;
  std::string begin;              // empty: no transaction begins
  std::vector<std::string> pre;   // settings, before BEGIN
  std::vector<std::string> post;  // savepoints and such, behind BEGIN
  bool reserve = false;
  bool found_rows = false;
  uint64_t pinned_id = 0;
};

struct Ran {
  uint64_t pinned_id = 0;
  record::TabletAlias tablet;
  // What ended it before or instead of the statement; what mysqld answered to the statement itself
  // is in the sink.
  Status status;
};

port::Caller CallerOf(const vtrpc::CallerID& effective, const query::VTGateCallerID& immediate);
// Errors: kUnimplemented for an isolation level of one transaction.
Result<std::string> BeginText(const query::ExecuteOptions& options);
// Statements that leave state on their connection which no settings describe: locks by name,
// temporary tables.
bool NeedsReservation(std::string_view sql);

// Runs all of it, the statement's answer into `sink`. A mysqld error before the statement stops it.
io::Task<Ran> Run(port::QueryService& service, ServerCall& call, Statement statement,
                  port::ResultSink& sink);

}  // namespace paceline::rpc
