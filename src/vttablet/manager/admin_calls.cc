// The administrative calls of tabletmanagerservice.TabletManager: SQL, schema, type, state.
#include "base/log.h"
#include "base/strings.h"
#include "tabletmanagerdata.pb.h"
#include "topodata.pb.h"
#include "vttablet/manager/convert.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/schema_reader.h"
#include "vttablet/manager/turn.h"

namespace paceline::vttablet {

namespace tm = ::tabletmanagerdata;

#define CALL(Method)                                                                    \
  io::Task<Status> Manager::Method([[maybe_unused]] const tm::Method##Request& request, \
                                   [[maybe_unused]] tm::Method##Response& response,     \
                                   [[maybe_unused]] Deadline deadline)

CALL(Ping) {
  response.set_payload(request.payload());
  co_return Status();
}

CALL(Sleep) {
  Duration wanted(request.duration());
  bool open = co_await io::Sleep(gate_, Deadline::In(wanted).EarlierOf(deadline));
  if (!open) co_return Fail(Code::kCanceled, "the tablet is stopping");
  co_return Status();
}

namespace {

// One statement or several with what must surround them on the same session.
struct Around {
  std::vector<std::string> before, after;
};

io::Task<Result<mysql::QueryResult>> RunSql(mysqld::Admin& admin, std::string database,
                                            std::string sql, Around around, Deadline deadline) {
  std::string text;
  if (!database.empty()) text += "USE " + QuoteIdentifier(database) + "; ";
  for (const std::string& one : around.before) text += one + "; ";
  text += sql;
  for (const std::string& one : around.after) text += "; " + one;
  Result<std::vector<mysql::QueryResult>> results =
      co_await admin.QueryAll(std::move(text), deadline);
  if (!results) co_return Fail(results.error());
  size_t index = (database.empty() ? 0 : 1) + around.before.size();
  if (index >= results->size())
    co_return Fail(Code::kInternal, "mysqld answered fewer results than statements");
  co_return std::move((*results)[index]);
}

}  // namespace

CALL(ExecuteFetchAsDba) {
  Around around;
  if (request.disable_binlogs()) {
    around.before.emplace_back("SET sql_log_bin = OFF");
    around.after.emplace_back("SET sql_log_bin = ON");
  }
  if (request.disable_foreign_key_checks()) {
    around.before.emplace_back("SET SESSION foreign_key_checks = OFF");
    around.after.emplace_back("SET SESSION foreign_key_checks = ON");
  }
  Result<mysql::QueryResult> result =
      co_await RunSql(*needs_.dba, request.db_name(), request.query(), around, deadline);
  if (!result) co_return Fail(result.error());
  ToProto(*result, request.max_rows(), response.mutable_result());
  co_return Status();
}

CALL(ExecuteMultiFetchAsDba) {
  std::string text;
  if (!request.db_name().empty()) text = "USE " + QuoteIdentifier(request.db_name()) + "; ";
  text += request.sql();
  Result<std::vector<mysql::QueryResult>> results =
      co_await needs_.dba->QueryAll(std::move(text), deadline);
  if (!results) co_return Fail(results.error());
  for (size_t i = request.db_name().empty() ? 0 : 1; i < results->size(); ++i) {
    ToProto((*results)[i], request.max_rows(), response.add_results());
  }
  co_return Status();
}

CALL(ExecuteFetchAsAllPrivs) {
  Result<mysql::QueryResult> result =
      co_await RunSql(*needs_.allprivs, request.db_name(), request.query(), Around(), deadline);
  if (!result) co_return Fail(result.error());
  ToProto(*result, request.max_rows(), response.mutable_result());
  co_return Status();
}

CALL(ExecuteFetchAsApp) {
  std::string database = tablet_.DbName();
  Result<mysql::QueryResult> result =
      co_await RunSql(*needs_.app, database, request.query(), Around(), deadline);
  if (!result) co_return Fail(result.error());
  ToProto(*result, request.max_rows(), response.mutable_result());
  co_return Status();
}

CALL(ExecuteQuery) {
  std::string database = request.db_name().empty() ? tablet_.DbName() : request.db_name();
  Result<mysql::QueryResult> result =
      co_await RunSql(*needs_.app, database, request.query(), Around(), deadline);
  if (!result) co_return Fail(result.error());
  ToProto(*result, request.max_rows(), response.mutable_result());
  co_return Status();
}

CALL(SetReadOnly) {
  if (replication_ == nullptr)
    co_return Fail(Code::kUnavailable, "the tablet has not reached its mysqld yet");
  Status done = co_await replication_->SetReadOnly(true, deadline);
  co_return done;
}

CALL(SetReadWrite) {
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  if (replication_ == nullptr)
    co_return Fail(Code::kUnavailable, "the tablet has not reached its mysqld yet");
  // What a reparent has closed only a reparent opens: two writable tablets could be the end of it.
  if (state_.demoted || state_.fenced) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} is {} for the reparent of term {} ({}): run PlannedReparentShard or "
                   "EmergencyReparentShard, which ends it",
                   tablet_.alias.ToString(), state_.demoted ? "demoted" : "fenced",
                   state_.promised_term, state_.coordinator);
  }
  Status done = co_await replication_->SetReadOnly(false, deadline);
  co_return done;
}

CALL(ChangeTags) {
  std::map<std::string, std::string> tags(request.tags().begin(), request.tags().end());
  bool replace = request.replace();
  topo::Server::TabletFn update = [tags, replace](record::Tablet& stored) -> Result<bool> {
    if (replace) stored.tags.clear();
    for (const auto& [name, value] : tags) {
      if (value.empty()) {
        stored.tags.erase(name);
      } else {
        stored.tags[name] = value;
      }
    }
    return true;
  };
  auto updated =
      co_await needs_.topo->UpdateTabletFields(tablet_.alias, std::move(update), deadline);
  if (!updated) co_return Fail(updated.error());
  tablet_.tags = updated->tags;
  response.mutable_tags()->insert(tablet_.tags.begin(), tablet_.tags.end());
  co_return Status();
}

CALL(ChangeType) {
  auto type = static_cast<record::TabletType>(request.tablet_type());
  Turn turn(action_);
  Status taken = co_await turn.Take(deadline);
  if (!taken) co_return taken;
  // Asked when the turn has come: what it waited for may have been this tablet's promotion.
  if (type == record::TabletType::kPrimary || is_primary()) {
    co_return Fail(Code::kFailedPrecondition,
                   "a primary is made and unmade by a reparent: run PlannedReparentShard");
  }
  Status may = co_await RefuseIfLastAcker(type, deadline);
  if (!may) co_return may;
  tablet_.type = type;
  options_.tablet.type = type;
  Status published = co_await PublishType(deadline);
  // Who may acknowledge depends on the type.
  Result<bool> acknowledges = false;
  if (published && !shard_.primary_alias.empty() && replication_ != nullptr) {
    acknowledges = co_await MayAcknowledgeFor(shard_.primary_alias, deadline);
    if (acknowledges)
      published = co_await replication_->SetSemiSyncReplica(*acknowledges, true, deadline);
  }
  ShowServing();
  co_return published;
}

CALL(RefreshState) {
  auto shard = co_await needs_.topo->GetShard(tablet_.keyspace, tablet_.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  shard_ = shard->value;
  co_await OnShardChanged();
  co_return Status();
}

CALL(RunHealthCheck) {
  co_await LookAtReplication();
  ShowServing();
  co_return Status();
}

CALL(ReloadSchema) { co_return Status(); }

CALL(GetSchema) {
  SchemaWanted wanted;
  wanted.database = tablet_.DbName();
  wanted.tables.assign(request.tables().begin(), request.tables().end());
  wanted.excluded.assign(request.exclude_tables().begin(), request.exclude_tables().end());
  wanted.views = request.include_views();
  Status read = co_await ReadSchema(*needs_.dba, std::move(wanted),
                                    response.mutable_schema_definition(), deadline);
  co_return read;
}

CALL(ApplySchema) {
  SchemaWanted wanted;
  wanted.database = tablet_.DbName();
  wanted.views = true;
  Status before =
      co_await ReadSchema(*needs_.dba, wanted, response.mutable_before_schema(), deadline);
  if (!before) co_return before;
  Around around;
  if (!request.allow_replication()) {
    around.before.emplace_back("SET sql_log_bin = OFF");
    around.after.emplace_back("SET sql_log_bin = ON");
  }
  Result<mysql::QueryResult> done =
      co_await RunSql(*needs_.dba, wanted.database, request.sql(), around, deadline);
  if (!done) co_return Fail(done.error());
  Status after =
      co_await ReadSchema(*needs_.dba, wanted, response.mutable_after_schema(), deadline);
  co_return after;
}

CALL(GetPermissions) {
  std::string sql = "SELECT * FROM mysql.user ORDER BY host, user";
  Result<mysql::QueryResult> users = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!users) co_return Fail(users.error());
  for (size_t row = 0; row < users->rows.size(); ++row) {
    tm::UserPermission* user = response.mutable_permissions()->add_user_permissions();
    for (size_t column = 0; column < users->columns.size(); ++column) {
      std::string name = Lower(users->columns[column].name);
      std::string text = users->Text(row, column);
      if (name == "host") {
        user->set_host(text);
      } else if (name == "user") {
        user->set_user(text);
      } else if (name.ends_with("_priv")) {
        (*user->mutable_privileges())[name] = text;
      }
    }
  }
  co_return Status();
}

CALL(GetGlobalStatusVars) {
  std::string sql = "SHOW GLOBAL STATUS";
  if (request.variables_size() > 0) {
    sql += " WHERE Variable_name IN (";
    for (int i = 0; i < request.variables_size(); ++i)
      sql += (i == 0 ? "" : ", ") + QuoteText(request.variables(i));
    sql += ")";
  }
  Result<mysql::QueryResult> rows = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error());
  for (size_t i = 0; i < rows->rows.size(); ++i) {
    (*response.mutable_status_values())[rows->Text(i, size_t{0})] = rows->Text(i, size_t{1});
  }
  co_return Status();
}

}  // namespace paceline::vttablet
