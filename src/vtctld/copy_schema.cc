// CopySchemaShard: a shard gets the definitions of a tablet's tables.
#include "base/log.h"
#include "base/strings.h"
#include "tabletmanagerdata.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

using Definition = tabletmanagerdata::TableDefinition;

// What `wanted` has and `there` lacks, tables before views. Errors: kAlreadyExists naming a table
// that is defined otherwise.
Result<std::vector<Definition>> Lacking(const tabletmanagerdata::SchemaDefinition& wanted,
                                        const tabletmanagerdata::SchemaDefinition& there) {
  std::map<std::string, std::string> known;
  for (const Definition& table : there.table_definitions()) known[table.name()] = table.schema();
  std::vector<Definition> tables, views;
  for (const Definition& table : wanted.table_definitions()) {
    auto found = known.find(table.name());
    if (found == known.end()) {
      (table.type() == "VIEW" ? views : tables).push_back(table);
    } else if (found->second != table.schema()) {
      return Fail(Code::kAlreadyExists, "table {} is defined otherwise there: nothing was copied",
                  table.name());
    }
  }
  tables.insert(tables.end(), views.begin(), views.end());
  return tables;
}

}  // namespace

io::Task<Result<tabletmanagerdata::SchemaDefinition>> Vtctld::SchemaToCopy(
    Reached tablet, const ::vtctldata::CopySchemaShardRequest& request, Deadline deadline) {
  tabletmanagerdata::GetSchemaRequest ask;
  tabletmanagerdata::GetSchemaResponse answer;
  *ask.mutable_tables() = request.tables();
  *ask.mutable_exclude_tables() = request.exclude_tables();
  ask.set_include_views(request.include_views());
  ask.set_table_schema_only(true);
  Status done = co_await tablet.manager->GetSchema(ask, answer, deadline);
  if (!done) co_return Fail(done.error().Context(tablet.tablet.alias.ToString()));
  co_return std::move(*answer.mutable_schema_definition());
}

VTCTLD_METHOD(CopySchemaShard) {
  record::TabletAlias alias = ToRecord(request.source_tablet_alias());
  Result<Reached> source = co_await Reach(alias, deadline);
  if (!source) co_return Fail(source.error());
  record::KeyspaceShard shard{request.destination_keyspace(), request.destination_shard()};
  Result<Reached> primary = co_await ReachPrimary(shard, deadline);
  if (!primary) co_return Fail(primary.error());
  Result<tabletmanagerdata::SchemaDefinition> wanted =
      co_await SchemaToCopy(*source, request, deadline);
  if (!wanted) co_return Fail(wanted.error());
  Result<tabletmanagerdata::SchemaDefinition> there =
      co_await SchemaToCopy(*primary, request, deadline);
  if (!there) co_return Fail(there.error());
  Result<std::vector<Definition>> lacking = Lacking(*wanted, *there);
  if (!lacking) co_return Fail(lacking.error().Context(shard.ToString()));
  for (const Definition& table : *lacking) {
    tabletmanagerdata::ExecuteFetchAsDbaRequest ask;
    tabletmanagerdata::ExecuteFetchAsDbaResponse answer;
    std::string database = primary->tablet.DbName();
    ask.set_query(ReplaceAll(table.schema(), "{{.DatabaseName}}", QuoteIdentifier(database)));
    ask.set_db_name(database);
    ask.set_max_rows(1);
    ask.set_disable_foreign_key_checks(true);  // tables come in the order of their names
    Status made = co_await primary->manager->ExecuteFetchAsDba(ask, answer, deadline);
    if (!made) {
      co_return Fail(made.error().Context(
          fmt::format("creating {} on {}", table.name(), primary->tablet.alias.ToString())));
    }
  }
  tabletmanagerdata::PrimaryPositionRequest ask;
  tabletmanagerdata::PrimaryPositionResponse position;
  Duration wait = ToDuration(request.wait_replicas_timeout());
  if (wait <= Duration(0)) wait = std::chrono::seconds(10);
  Deadline reload = Deadline::In(wait).EarlierOf(deadline);
  Status known = co_await primary->manager->PrimaryPosition(ask, position, reload);
  if (!known) co_return known;
  std::vector<std::string> events;
  Status reloaded = co_await ReloadShard(shard, position.position(), true, &events, reload);
  if (!reloaded) co_return reloaded;
  for (const std::string& event : events) LOG_WARNING("after CopySchemaShard: {}", event);
  if (request.skip_verify()) co_return Status();
  there = co_await SchemaToCopy(*primary, request, deadline);
  if (!there) co_return Fail(there.error());
  lacking = Lacking(*wanted, *there);
  if (!lacking) co_return Fail(lacking.error().Context(shard.ToString()));
  if (lacking->empty()) co_return Status();
  co_return Fail(Code::kInternal, "{} still lacks table {}", shard.ToString(),
                 lacking->front().name());
}

}  // namespace paceline::vtctld
