// Schema changes and what tablets say of their schema.
#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "query.pb.h"
#include "replicationdata.pb.h"
#include "sql/outline.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

constexpr Duration kReloadWait = std::chrono::seconds(10);

std::string Shorten(std::string_view sql) {
  constexpr size_t kMax = 80;
  std::string line;
  for (char c : sql) line += c == '\n' || c == '\t' ? ' ' : c;
  if (line.size() > kMax) line = line.substr(0, kMax) + "...";
  return line;
}

// Statements of all texts, each a definition. Errors: kInvalidArgument naming the one that is none.
Result<std::vector<std::string>> SplitDdl(const std::vector<std::string>& texts) {
  std::vector<std::string> statements;
  sql::Dialect dialect;
  for (const std::string& text : texts) {
    for (sql::Span span : sql::SplitStatements(text, dialect)) {
      std::string statement(span.In(text));
      sql::Outline outline = sql::Analyze(statement, dialect);
      bool changes_schema = outline.kind == sql::Kind::kDdl ||
                            outline.kind == sql::Kind::kDatabaseDdl ||
                            outline.kind == sql::Kind::kUnknown;
      if (outline.kind == sql::Kind::kEmpty) continue;
      if (!changes_schema) {
        return Fail(Code::kInvalidArgument,
                    "ApplySchema takes definitions (CREATE, ALTER, DROP, RENAME, TRUNCATE), not "
                    "{}: \"{}\". Run it through "
                    "vtgate or ExecuteFetchAsDBA; nothing was applied",
                    sql::KindName(outline.kind), Shorten(statement));
      }
      statements.push_back(std::move(statement));
    }
  }
  if (statements.empty())
    return Fail(Code::kInvalidArgument, "no statement to apply: give --sql or --sql-file");
  return statements;
}

// The statement as mysqld would only parse it. Backslashes and quotes are doubled, which holds with
// and without NO_BACKSLASH_ESCAPES as far as a check of the grammar goes.
std::string ParseOnly(std::string_view sql) {
  std::string text = "PREPARE paceline_parse FROM '";
  for (char c : sql) {
    if (c == '\'' || c == '\\') text += c;
    text += c;
  }
  return text + "'";
}

// Errors: mysqld's, about the statement itself.
io::Task<Status> ParseOn(std::shared_ptr<port::TabletManager> manager, record::Tablet tablet,
                         std::string sql, Deadline deadline) {
  tabletmanagerdata::ExecuteFetchAsDbaRequest ask;
  tabletmanagerdata::ExecuteFetchAsDbaResponse answer;
  ask.set_query(ParseOnly(sql));
  ask.set_db_name(tablet.DbName());
  ask.set_max_rows(1);
  Status done = co_await manager->ExecuteFetchAsDba(ask, answer, deadline);
  if (done) co_return done;
  co_return Fail(
      done.error().Context(fmt::format("\"{}\" on {}", Shorten(sql), tablet.alias.ToString())));
}

io::Task<void> ReloadOne(std::shared_ptr<port::TabletManager> manager, record::TabletAlias alias,
                         std::string position, std::vector<std::string>* events,
                         Deadline deadline) {
  tabletmanagerdata::ReloadSchemaRequest ask;
  tabletmanagerdata::ReloadSchemaResponse answer;
  ask.set_wait_position(position);
  Status done = co_await manager->ReloadSchema(ask, answer, deadline);
  if (!done)
    events->push_back(
        fmt::format("{} did not reload its schema: {}", alias.ToString(), done.error().message()));
}

void FillEvents(const std::vector<std::string>& lines, auto* events) {
  for (const std::string& line : lines) {
    logutil::Event* event = events->Add();
    event->set_level(logutil::WARNING);
    event->set_value(line);
  }
}

}  // namespace

io::Task<Result<uint64_t>> Vtctld::RunDdl(Reached primary, std::string sql, Deadline deadline) {
  tabletmanagerdata::ExecuteFetchAsDbaRequest ask;
  tabletmanagerdata::ExecuteFetchAsDbaResponse answer;
  ask.set_query(sql);
  ask.set_db_name(primary.tablet.DbName());
  ask.set_max_rows(10);
  Status done = co_await primary.manager->ExecuteFetchAsDba(ask, answer, deadline);
  if (!done) {
    co_return Fail(done.error().Context(
        fmt::format("\"{}\" on {}", Shorten(sql), primary.tablet.alias.ToString())));
  }
  co_return answer.result().rows_affected();
}

io::Task<Status> Vtctld::ReloadShard(record::KeyspaceShard name, std::string wait_position,
                                     bool include_primary, std::vector<std::string>* events,
                                     Deadline deadline) {
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  Together join;
  for (const auto& stored : tablets->tablets) {
    bool primary = stored.value.alias == shard->value.primary_alias;
    if (primary && !include_primary) continue;
    std::string position = primary ? "" : wait_position;
    join.Start(ReloadOne(connect_(stored.value), stored.value.alias, position, events, deadline));
  }
  co_await join.Wait();
  co_return Status();
}

VTCTLD_METHOD(ApplySchema) {
  std::string keyspace = request.keyspace();
  std::string strategy = request.ddl_strategy();
  if (!strategy.empty() && Split(strategy, ' ')[0] != "direct") {
    co_return Fail(
        Code::kUnimplemented,
        "--ddl-strategy \"{}\": only \"direct\" is offered; Online DDL belongs to a later version",
        strategy);
  }
  Result<std::vector<std::string>> statements = SplitDdl(ToVector(request.sql()));
  if (!statements) co_return Fail(statements.error());
  auto record = co_await topo_.GetKeyspace(keyspace, deadline);
  if (!record) co_return Fail(record.error());
  std::string why = "ApplySchemaKeyspace";
  Result<topo::LockPtr> lock = co_await topo_.LockKeyspace(keyspace, why, deadline);
  if (!lock) co_return Fail(lock.error());

  Status outcome;
  auto shards = co_await topo_.ListShards(keyspace, deadline);
  if (!shards) outcome = Fail(shards.error());
  if (shards && shards->empty()) {
    outcome = Fail(Code::kFailedPrecondition,
                   "keyspace {} has no shards yet: start its tablets first", keyspace);
  }
  // All shards must be ready before the first is changed.
  std::map<std::string, Reached> primaries;
  std::vector<std::string> names;
  if (shards && outcome) names = *shards;
  for (const std::string& shard : names) {
    record::KeyspaceShard name{keyspace, shard};
    Result<Reached> primary = co_await ReachPrimary(name, deadline);
    if (!primary) {
      outcome = Fail(primary.error());
      break;
    }
    primaries.emplace(shard, std::move(*primary));
  }
  // Several statements: none is run while mysqld cannot parse all of them.
  for (size_t i = 0;
       statements->size() > 1 && i < statements->size() && outcome && !primaries.empty(); ++i) {
    const std::string& sql = (*statements)[i];
    const Reached& first = primaries.begin()->second;
    Status parsed = co_await ParseOn(first.manager, first.tablet, sql, deadline);
    if (!parsed && parsed.error().mysql_errno() == 1064) {
      outcome =
          Fail(parsed.error().Context(fmt::format("keyspace {}: nothing was applied", keyspace)));
    }
  }
  for (const std::string& sql : *statements) {
    if (!outcome) break;
    for (const auto& [shard, primary] : primaries) {
      Result<uint64_t> rows = co_await RunDdl(primary, sql, deadline);
      if (!rows) {
        outcome = Fail(rows.error().Context(fmt::format("keyspace {}, shard {}", keyspace, shard)));
        break;
      }
      (*response.mutable_rows_affected_by_shard())[shard] += *rows;
    }
  }
  Status released = co_await (*lock)->Release(deadline);
  if (!released)
    LOG_WARNING("releasing the lock of keyspace {}: {}", keyspace, released.error().message());
  // What was applied before an error is to be known to the tablets too.
  Duration wait = ToDuration(request.wait_replicas_timeout());
  Deadline reload = Deadline::In(wait > Duration(0) ? wait : kReloadWait).EarlierOf(deadline);
  for (const auto& [shard, primary] : primaries) {
    tabletmanagerdata::PrimaryPositionRequest ask;
    tabletmanagerdata::PrimaryPositionResponse position;
    Status known = co_await primary.manager->PrimaryPosition(ask, position, reload);
    if (!known) LOG_INFO("position after ApplySchema: {}", known.error().message());
    std::vector<std::string> events;
    record::KeyspaceShard name{keyspace, shard};
    Status reloaded = co_await ReloadShard(name, position.position(), true, &events, reload);
    if (!reloaded) events.push_back(reloaded.error().message());
    for (const std::string& event : events) LOG_WARNING("after ApplySchema: {}", event);
  }
  co_return outcome;
}

VTCTLD_METHOD(GetSchema) {
  record::TabletAlias alias = ToRecord(request.tablet_alias());
  Result<Reached> reached = co_await Reach(alias, deadline);
  if (!reached) co_return Fail(reached.error());
  tabletmanagerdata::GetSchemaRequest ask;
  tabletmanagerdata::GetSchemaResponse answer;
  *ask.mutable_tables() = request.tables();
  *ask.mutable_exclude_tables() = request.exclude_tables();
  ask.set_include_views(request.include_views());
  ask.set_table_schema_only(request.table_schema_only());
  Status done = co_await reached->manager->GetSchema(ask, answer, deadline);
  if (!done) co_return Fail(done.error().Context(alias.ToString()));
  *response.mutable_schema() = answer.schema_definition();
  if (!request.table_names_only() && !request.table_sizes_only()) co_return Status();
  response.mutable_schema()->clear_database_schema();
  for (auto& table : *response.mutable_schema()->mutable_table_definitions()) {
    tabletmanagerdata::TableDefinition less;
    less.set_name(table.name());
    if (!request.table_names_only()) {
      less.set_type(table.type());
      less.set_row_count(table.row_count());
      less.set_data_length(table.data_length());
    }
    table = less;
  }
  co_return Status();
}

VTCTLD_METHOD(ReloadSchemaShard) {
  record::KeyspaceShard name{request.keyspace(), request.shard()};
  std::vector<std::string> events;
  Status done = co_await ReloadShard(name, request.wait_position(), request.include_primary(),
                                     &events, deadline);
  FillEvents(events, response.mutable_events());
  co_return done;
}

VTCTLD_METHOD(ReloadSchemaKeyspace) {
  auto shards = co_await topo_.ListShards(request.keyspace(), deadline);
  if (!shards) co_return Fail(shards.error());
  std::vector<std::string> events;
  for (const std::string& shard : *shards) {
    record::KeyspaceShard name{request.keyspace(), shard};
    Status done = co_await ReloadShard(name, request.wait_position(), request.include_primary(),
                                       &events, deadline);
    if (!done) co_return done;
  }
  FillEvents(events, response.mutable_events());
  co_return Status();
}

}  // namespace paceline::vtctld
