// The Validate family: what in the topology, the schemas, the versions and the permissions does not
// fit together.
#include <algorithm>

#include "base/strings.h"
#include "query.pb.h"
#include "replicationdata.pb.h"
#include "tabletmanagerdata.pb.h"
#include "vschema.pb.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

using Findings = std::vector<std::string>;

constexpr Duration kAskTablet = std::chrono::seconds(10);

io::Task<void> PingOne(std::shared_ptr<port::TabletManager> manager, record::TabletAlias alias,
                       Findings* findings, Deadline deadline) {
  tabletmanagerdata::PingRequest ask;
  tabletmanagerdata::PingResponse answer;
  ask.set_payload("validate");
  Status done = co_await manager->Ping(ask, answer, deadline);
  if (!done)
    findings->push_back(
        fmt::format("Ping({}) failed: {}", alias.ToString(), done.error().message()));
}

io::Task<void> Replicates(std::shared_ptr<port::TabletManager> manager, record::Tablet tablet,
                          record::Tablet primary, Findings* findings, Deadline deadline) {
  tabletmanagerdata::ReplicationStatusRequest ask;
  tabletmanagerdata::ReplicationStatusResponse answer;
  Status done = co_await manager->ReplicationStatus(ask, answer, deadline);
  std::string name = tablet.alias.ToString();
  if (!done) {
    findings->push_back(
        fmt::format("{} does not tell how it replicates: {}", name, done.error().message()));
    co_return;
  }
  const replicationdata::Status& status = answer.status();
  bool right =
      status.source_port() == primary.mysql_port &&
      (status.source_host() == primary.mysql_hostname || status.source_host() == primary.hostname);
  if (!right) {
    findings->push_back(fmt::format("{} replicates from {}:{}, not from the primary {}", name,
                                    status.source_host(), status.source_port(),
                                    primary.alias.ToString()));
  }
  if (!status.last_io_error().empty())
    findings->push_back(fmt::format("{}: {}", name, status.last_io_error()));
  if (!status.last_sql_error().empty())
    findings->push_back(fmt::format("{}: {}", name, status.last_sql_error()));
}

// The cell of a row, "" when it is absent or NULL.
std::string Cell(const query::QueryResult& result, const query::Row& row, std::string_view column) {
  size_t offset = 0;
  for (int i = 0; i < row.lengths_size() && i < result.fields_size(); ++i) {
    int64_t length = std::max<int64_t>(row.lengths(i), 0);
    if (EqualsIgnoreCase(result.fields(i).name(), column))
      return row.values().substr(offset, static_cast<size_t>(length));
    offset += static_cast<size_t>(length);
  }
  return "";
}

// Who replicates from the primary is a tablet of the shard; one whose record was deleted while it
// ran is not seen anywhere else.
io::Task<void> KnowsItsReplicas(std::shared_ptr<port::TabletManager> manager,
                                record::TabletAlias primary, std::vector<record::Tablet> tablets,
                                Findings* findings, Deadline deadline) {
  tabletmanagerdata::ExecuteFetchAsDbaRequest ask;
  tabletmanagerdata::ExecuteFetchAsDbaResponse answer;
  ask.set_max_rows(10'000);
  Status done;
  for (const char* words : {"SHOW REPLICAS", "SHOW REPLICA HOSTS"}) {  // MySQL's, MariaDB's
    ask.set_query(words);
    answer.Clear();
    done = co_await manager->ExecuteFetchAsDba(ask, answer, deadline);
    if (done) break;
  }
  if (!done) co_return;  // Ping says that it does not answer
  const query::QueryResult& result = answer.result();
  for (const query::Row& row : result.rows()) {
    const std::string host = Cell(result, row, "Host"), port = Cell(result, row, "Port");
    bool known = std::ranges::any_of(tablets, [&](const record::Tablet& tablet) {
      return std::to_string(tablet.mysql_port) == port &&
             (host.empty() || host == tablet.mysql_hostname || host == tablet.hostname);
    });
    if (known) continue;
    findings->push_back(fmt::format(
        "a server at {} replicates from {} and is no tablet of the shard: was its record "
        "deleted while it runs? Stop it, or start its vttablet anew, which registers again",
        host.empty() ? "port " + port : host + ":" + port, primary.ToString()));
  }
}

void Append(const Findings& findings, auto* out) {
  for (const std::string& finding : findings) *out->Add() = finding;
}

}  // namespace

io::Task<Result<Findings>> Vtctld::CheckShard(record::KeyspaceShard name, bool ping,
                                              Deadline deadline) {
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  Findings findings;
  for (const auto& [cell, error] : tablets->failed_cells)
    findings.push_back(fmt::format("cell {}: {}", cell, error.message()));
  const record::TabletAlias& leader = shard->value.primary_alias;
  const record::Tablet* primary = nullptr;
  for (const auto& stored : tablets->tablets) {
    bool leads = stored.value.alias == leader;
    if (leads) primary = &stored.value;
    bool says_so = stored.value.type == record::TabletType::kPrimary;
    if (leads && !says_so) {
      findings.push_back(fmt::format("primary mismatch: shard {} names {}, whose record says {}",
                                     name.ToString(), leader.ToString(),
                                     record::TabletTypeName(stored.value.type)));
    }
    if (!leads && says_so) {
      findings.push_back(
          fmt::format("primary mismatch: {} is of type primary, but shard {} names {}",
                      stored.value.alias.ToString(), name.ToString(),
                      leader.empty() ? "none" : leader.ToString()));
    }
  }
  if (leader.empty()) findings.push_back(fmt::format("no primary for shard {}", name.ToString()));
  if (!leader.empty() && primary == nullptr) {
    findings.push_back(fmt::format("primary {} of shard {} has no tablet record", leader.ToString(),
                                   name.ToString()));
  }
  auto cells = co_await topo_.ListCells(deadline);
  if (!cells) co_return Fail(cells.error());
  for (const std::string& cell : *cells) {
    auto nodes = co_await topo_.GetShardReplication(cell, name.keyspace, name.shard, deadline);
    if (!nodes) continue;
    for (const record::TabletAlias& alias : nodes->value.nodes) {
      bool there = std::ranges::any_of(tablets->tablets,
                                       [&](const auto& t) { return t.value.alias == alias; });
      if (!there)
        findings.push_back(
            fmt::format("the replication graph of {} in {} names {}, which has no record",
                        name.ToString(), cell, alias.ToString()));
    }
  }
  if (!ping) co_return findings;
  Deadline limit = Deadline::In(kAskTablet).EarlierOf(deadline);
  Together join;
  for (const auto& stored : tablets->tablets) {
    std::shared_ptr<port::TabletManager> manager = connect_(stored.value);
    join.Start(PingOne(manager, stored.value.alias, &findings, limit));
    if (&stored.value == primary) {
      std::vector<record::Tablet> all;
      for (const auto& one : tablets->tablets) all.push_back(one.value);
      join.Start(KnowsItsReplicas(manager, primary->alias, std::move(all), &findings, limit));
    }
    if (primary == nullptr || &stored.value == primary) continue;
    join.Start(Replicates(manager, stored.value, *primary, &findings, limit));
  }
  co_await join.Wait();
  co_return findings;
}

io::Task<Result<Findings>> Vtctld::CheckKeyspace(std::string keyspace, bool ping,
                                                 Deadline deadline) {
  auto shards = co_await topo_.ListShards(keyspace, deadline);
  if (!shards) co_return Fail(shards.error());
  Findings all;
  if (shards->empty()) all.push_back("no shards in keyspace " + keyspace);
  for (const std::string& shard : *shards) {
    record::KeyspaceShard name{keyspace, shard};
    Result<Findings> findings = co_await CheckShard(name, ping, deadline);
    if (!findings)
      all.push_back(fmt::format("{}: {}", name.ToString(), findings.error().message()));
    if (findings) std::ranges::move(*findings, std::back_inserter(all));
  }
  co_return all;
}

VTCTLD_METHOD(ValidateShard) {
  record::KeyspaceShard name{request.keyspace(), request.shard()};
  Result<Findings> findings = co_await CheckShard(name, request.ping_tablets(), deadline);
  if (!findings) co_return Fail(findings.error());
  Append(*findings, response.mutable_results());
  co_return Status();
}

VTCTLD_METHOD(ValidateKeyspace) {
  auto shards = co_await topo_.ListShards(request.keyspace(), deadline);
  if (!shards) co_return Fail(shards.error());
  if (shards->empty()) response.add_results("no shards in keyspace " + request.keyspace());
  for (const std::string& shard : *shards) {
    record::KeyspaceShard name{request.keyspace(), shard};
    Result<Findings> findings = co_await CheckShard(name, request.ping_tablets(), deadline);
    if (!findings) co_return Fail(findings.error());
    Append(*findings, (*response.mutable_results_by_shard())[shard].mutable_results());
  }
  co_return Status();
}

VTCTLD_METHOD(Validate) {
  auto keyspaces = co_await topo_.ListKeyspaces(deadline);
  if (!keyspaces) co_return Fail(keyspaces.error());
  for (const std::string& keyspace : *keyspaces) {
    vtctldata::ValidateKeyspaceRequest ask;
    ask.set_keyspace(keyspace);
    ask.set_ping_tablets(request.ping_tablets());
    vtctldata::ValidateKeyspaceResponse& answer =
        (*response.mutable_results_by_keyspace())[keyspace];
    Status done = co_await ValidateKeyspace(ask, answer, deadline);
    if (!done) answer.add_results(done.error().message());
  }
  auto tablets = co_await topo_.ListTablets(deadline);
  if (!tablets) co_return Fail(tablets.error());
  for (const auto& stored : tablets->tablets) {
    const record::Tablet& tablet = stored.value;
    auto shard = co_await topo_.GetShard(tablet.keyspace, tablet.shard, deadline);
    if (shard || shard.error().code() != Code::kNotFound) continue;
    response.add_results(fmt::format("tablet {} is of shard {}/{}, which does not exist",
                                     tablet.alias.ToString(), tablet.keyspace, tablet.shard));
  }
  co_return Status();
}

io::Task<Result<std::string>> Vtctld::SchemaText(Reached tablet, std::vector<std::string> exclude,
                                                 bool views, Deadline deadline) {
  tabletmanagerdata::GetSchemaRequest ask;
  tabletmanagerdata::GetSchemaResponse answer;
  for (const std::string& name : exclude) ask.add_exclude_tables(name);
  ask.set_include_views(views);
  ask.set_table_schema_only(true);
  Status done = co_await tablet.manager->GetSchema(ask, answer, deadline);
  if (!done) co_return Fail(done.error());
  std::map<std::string, std::string> tables;
  for (const auto& table : answer.schema_definition().table_definitions())
    tables[table.name()] = table.schema();
  std::string text;
  for (const auto& [name, schema] : tables) text += name + "\n" + schema + "\n";
  co_return text;
}

io::Task<Result<std::string>> Vtctld::VersionText(Reached tablet, Deadline deadline) {
  tabletmanagerdata::FullStatusRequest ask;
  tabletmanagerdata::FullStatusResponse answer;
  Status done = co_await tablet.manager->FullStatus(ask, answer, deadline);
  if (!done) co_return Fail(done.error());
  co_return fmt::format("{} {}", answer.status().version(), answer.status().version_comment());
}

io::Task<Result<std::string>> Vtctld::PermissionsText(Reached tablet, Deadline deadline) {
  tabletmanagerdata::GetPermissionsRequest ask;
  tabletmanagerdata::GetPermissionsResponse answer;
  Status done = co_await tablet.manager->GetPermissions(ask, answer, deadline);
  if (!done) co_return Fail(done.error());
  std::vector<std::string> lines;
  auto privileges = [](const auto& map) {
    std::map<std::string, std::string> sorted(map.begin(), map.end());
    std::string text;
    for (const auto& [name, value] : sorted) text += " " + name + "=" + value;
    return text;
  };
  for (const auto& user : answer.permissions().user_permissions()) {
    lines.push_back(fmt::format("user {}@{} {}{}", user.user(), user.host(),
                                user.password_checksum(), privileges(user.privileges())));
  }
  for (const auto& db : answer.permissions().db_permissions()) {
    lines.push_back(
        fmt::format("db {} {}@{}{}", db.db(), db.user(), db.host(), privileges(db.privileges())));
  }
  std::ranges::sort(lines);
  co_return Join(lines, "\n");
}

io::Task<Result<Findings>> Vtctld::Compare(record::KeyspaceShard name, std::string what,
                                           Sample sample, std::string* reference,
                                           Deadline deadline) {
  Result<Reached> primary = co_await ReachPrimary(name, deadline);
  if (!primary) co_return Fail(primary.error());
  Result<std::vector<Reached>> all = co_await ReachShard(name, deadline);
  if (!all) co_return Fail(all.error());
  Findings findings;
  // Of a keyspace: the first shard's primary is what all others are held against.
  if (reference->empty()) {
    Result<std::string> text = co_await (this->*sample)(*primary, deadline);
    if (!text) co_return Fail(text.error().Context("primary " + primary->tablet.alias.ToString()));
    *reference = *text;
  }
  for (const Reached& tablet : *all) {
    std::string alias = tablet.tablet.alias.ToString();
    Result<std::string> text = co_await (this->*sample)(tablet, deadline);
    if (!text)
      findings.push_back(
          fmt::format("{} of {} cannot be read: {}", what, alias, text.error().message()));
    if (text && *text != *reference) {
      findings.push_back(fmt::format("{} of {} differs from that of primary {}", what, alias,
                                     primary->tablet.alias.ToString()));
    }
  }
  co_return findings;
}

VTCTLD_METHOD(ValidateVersionShard) {
  record::KeyspaceShard name{request.keyspace(), request.shard()};
  std::string reference;
  Result<Findings> findings =
      co_await Compare(name, "version", &Vtctld::VersionText, &reference, deadline);
  if (!findings) co_return Fail(findings.error());
  Append(*findings, response.mutable_results());
  co_return Status();
}

VTCTLD_METHOD(ValidateVersionKeyspace) {
  auto shards = co_await topo_.ListShards(request.keyspace(), deadline);
  if (!shards) co_return Fail(shards.error());
  std::string reference;
  for (const std::string& shard : *shards) {
    record::KeyspaceShard name{request.keyspace(), shard};
    Result<Findings> findings =
        co_await Compare(name, "version", &Vtctld::VersionText, &reference, deadline);
    if (!findings) co_return Fail(findings.error());
    Append(*findings, (*response.mutable_results_by_shard())[shard].mutable_results());
    Append(*findings, response.mutable_results());
  }
  co_return Status();
}

VTCTLD_METHOD(ValidatePermissionsKeyspace) {
  std::vector<std::string> names = ToVector(request.shards());
  if (names.empty()) {
    auto shards = co_await topo_.ListShards(request.keyspace(), deadline);
    if (!shards) co_return Fail(shards.error());
    names = *shards;
  }
  std::string reference;
  Findings all;
  for (const std::string& shard : names) {
    record::KeyspaceShard name{request.keyspace(), shard};
    Result<Findings> findings =
        co_await Compare(name, "permissions", &Vtctld::PermissionsText, &reference, deadline);
    if (!findings) co_return Fail(findings.error());
    std::ranges::move(*findings, std::back_inserter(all));
  }
  if (!all.empty())
    co_return Fail(Code::kFailedPrecondition, "permissions differ: {}", Join(all, "; "));
  co_return Status();
}

VTCTLD_METHOD(ValidateSchemaKeyspace) {
  std::vector<std::string> names = ToVector(request.shards());
  if (names.empty()) {
    auto shards = co_await topo_.ListShards(request.keyspace(), deadline);
    if (!shards) co_return Fail(shards.error());
    names = *shards;
  }
  std::vector<std::string> exclude = ToVector(request.exclude_tables());
  if (names.empty()) response.add_results("no shards in keyspace " + request.keyspace());
  std::string reference, leader;
  for (const std::string& shard : names) {
    record::KeyspaceShard name{request.keyspace(), shard};
    auto* results = (*response.mutable_results_by_shard())[shard].mutable_results();
    Result<Reached> primary = co_await ReachPrimary(name, deadline);
    if (!primary && !request.skip_no_primary()) {
      *results->Add() = primary.error().message();
      response.add_results(primary.error().message());
    }
    if (!primary) continue;
    if (leader.empty()) {
      Result<std::string> text =
          co_await SchemaText(*primary, exclude, request.include_views(), deadline);
      if (!text) co_return Fail(text.error());
      reference = *text;
      leader = primary->tablet.alias.ToString();
    }
    Result<std::vector<Reached>> all = co_await ReachShard(name, deadline);
    if (!all) co_return Fail(all.error());
    for (const Reached& tablet : *all) {
      std::string alias = tablet.tablet.alias.ToString();
      Result<std::string> text =
          co_await SchemaText(tablet, exclude, request.include_views(), deadline);
      std::string finding;
      if (!text)
        finding = fmt::format("schema of {} cannot be read: {}", alias, text.error().message());
      if (text && *text != reference)
        finding = fmt::format("schema of {} differs from that of primary {}", alias, leader);
      if (finding.empty()) continue;
      *results->Add() = finding;
      response.add_results(finding);
    }
  }
  if (!request.include_vschema()) co_return Status();
  vtctldata::ValidateVSchemaRequest ask;
  vtctldata::ValidateVSchemaResponse answer;
  ask.set_keyspace(request.keyspace());
  *ask.mutable_shards() = request.shards();
  *ask.mutable_exclude_tables() = request.exclude_tables();
  ask.set_include_views(request.include_views());
  Status done = co_await ValidateVSchema(ask, answer, deadline);
  if (!done) co_return done;
  response.mutable_results()->MergeFrom(answer.results());
  co_return Status();
}

VTCTLD_METHOD(ValidateVSchema) {
  vtctldata::GetVSchemaRequest get;
  get.set_keyspace(request.keyspace());
  vtctldata::GetVSchemaResponse got;
  Status read = co_await GetVSchema(get, got, deadline);
  if (!read) co_return read;
  std::vector<std::string> names = ToVector(request.shards());
  if (names.empty()) {
    auto shards = co_await topo_.ListShards(request.keyspace(), deadline);
    if (!shards) co_return Fail(shards.error());
    names = *shards;
  }
  for (const std::string& shard : names) {
    record::KeyspaceShard name{request.keyspace(), shard};
    auto* results = (*response.mutable_results_by_shard())[shard].mutable_results();
    Result<Reached> primary = co_await ReachPrimary(name, deadline);
    std::string finding;
    if (!primary) finding = primary.error().message();
    if (primary) {
      tabletmanagerdata::GetSchemaRequest ask;
      tabletmanagerdata::GetSchemaResponse answer;
      *ask.mutable_exclude_tables() = request.exclude_tables();
      ask.set_include_views(request.include_views());
      ask.set_table_schema_only(true);
      Status done = co_await primary->manager->GetSchema(ask, answer, deadline);
      if (!done) finding = done.error().message();
      std::vector<std::string> missing;
      for (const auto& table : answer.schema_definition().table_definitions()) {
        if (!got.v_schema().tables().contains(table.name())) missing.push_back(table.name());
      }
      if (!missing.empty()) {
        finding = fmt::format("{} has tables that are not in the vschema: {}", name.ToString(),
                              Join(missing, ", "));
      }
    }
    if (finding.empty()) continue;
    *results->Add() = finding;
    response.add_results(finding);
  }
  co_return Status();
}

}  // namespace paceline::vtctld
