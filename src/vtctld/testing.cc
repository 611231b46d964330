#include "vtctld/testing.h"

#include "paceline_agent.pb.h"
#include "query.pb.h"
#include "replicationdata.pb.h"
#include "tabletmanagerdata.pb.h"

namespace paceline::vtctld {

#define METHOD(Name)                                                    \
  io::Task<Status> FakeTablet::Name(                                    \
      [[maybe_unused]] const tabletmanagerdata::Name##Request& request, \
      [[maybe_unused]] tabletmanagerdata::Name##Response& response, Deadline)
#define CONTROL(Name)                                                                     \
  io::Task<Status> FakeTablet::Name([[maybe_unused]] const agent::Name##Request& request, \
                                    [[maybe_unused]] agent::Name##Response& response, Deadline)

FakeTablet::FakeTablet(FakeShard& shard, record::Tablet tablet, int number)
    : record(std::move(tablet)),
      shard_(shard),
      uuid_(*gtid::Source::Mysql(fmt::format("f36f1cdb-c436-11e6-bce5-0a580a{:06}", number))) {}

Status FakeTablet::Answer() {
  if (dead) return Fail(Code::kUnavailable, "{} refuses the connection", record.GrpcAddress());
  if (shard_.calls_left == 0) return Fail(Code::kUnavailable, "the network is gone");
  if (shard_.calls_left > 0) --shard_.calls_left;
  Follow();
  return {};
}

Status FakeTablet::CheckTerm(uint64_t term) {
  Status answered = Answer();
  if (!answered) return answered;
  if (term < promised)
    return Fail(Code::kFailedPrecondition, "term {} is below the promised {}", term, promised);
  promised = term;
  return {};
}

// A replica that runs has all that its source has.
void FakeTablet::Follow() {
  FakeTablet* from = source.empty() ? nullptr : shard_.Find(source);
  if (from == nullptr || !io_running || from->dead) return;
  executed = executed.Union(from->executed);
  journal = std::max(journal, from->journal);
}

void FakeTablet::Write() {
  ++sequence_;
  executed.Add(uuid_, {sequence_, sequence_});
  for (const auto& [uid, other] : shard_.tablets()) {
    if (!other->dead && other->source == record.alias) other->Follow();
  }
}

METHOD(Ping) { co_return Answer(); }
METHOD(RefreshState) { co_return Answer(); }
METHOD(ReloadSchema) {
  ++reloads;
  co_return Answer();
}
METHOD(SetReadOnly) {
  read_only = true;
  co_return Answer();
}
METHOD(SetReadWrite) {
  read_only = false;
  co_return Answer();
}
METHOD(StartReplication) {
  io_running = true;
  co_return Answer();
}
METHOD(StopReplication) {
  io_running = false;
  co_return Answer();
}
METHOD(WaitForPosition) { co_return Answer(); }
METHOD(ChangeType) {
  Status answered = Answer();
  if (!answered) co_return answered;
  record.type = static_cast<record::TabletType>(request.tablet_type());
  record::TabletType type = record.type;
  topo::Server::TabletFn set = [type](record::Tablet& value) -> Result<bool> {
    value.type = type;
    return true;
  };
  auto written = co_await shard_.topo->UpdateTabletFields(record.alias, set, Deadline::In(5s));
  if (!written) co_return Fail(written.error());
  co_return Status();
}
METHOD(GetSchema) {
  Status answered = Answer();
  response.mutable_schema_definition()->set_database_schema("CREATE DATABASE `{{.DatabaseName}}`");
  if (has_no_tables) co_return answered;
  auto* table = response.mutable_schema_definition()->add_table_definitions();
  table->set_name("greetings");
  table->set_schema("CREATE TABLE `greetings` (`id` bigint)");
  table->set_type("BASE TABLE");
  co_return answered;
}
METHOD(ExecuteFetchAsDba) {
  Status answered = Answer();
  if (!answered) co_return answered;
  statements.push_back(request.db_name() + ": " + request.query());
  if (request.query().starts_with("SHOW REPLICAS")) {
    query::QueryResult& result = *response.mutable_result();
    for (const char* name : {"Server_Id", "Host", "Port"}) result.add_fields()->set_name(name);
    for (const auto& [uid, tablet] : shard_.tablets()) {
      if (tablet->source != record.alias || tablet->dead) continue;
      query::Row& row = *result.add_rows();
      for (const std::string& value :
           {std::to_string(uid), tablet->record.mysql_hostname, std::string("3306")}) {
        row.add_lengths(static_cast<int64_t>(value.size()));
        row.set_values(row.values() + value);
      }
    }
    co_return Status();
  }
  if (request.query().find("BROKEN") != std::string::npos) {
    co_return Fail(Error::FromMysql(1064, "42000", "You have an error in your SQL syntax"));
  }
  if (request.query().starts_with("SELECT")) {
    query::QueryResult& result = *response.mutable_result();
    result.add_fields()->set_name("id");
    result.add_fields()->set_name("name");
    for (const char* name : {"world", "Jos\xc3\xa9"}) {
      query::Row& row = *result.add_rows();
      row.add_lengths(1);
      row.add_lengths(static_cast<int64_t>(std::string_view(name).size()));
      row.set_values("1" + std::string(name));
    }
    query::Row& row = *result.add_rows();
    row.add_lengths(1);
    row.add_lengths(-1);
    row.set_values("3");
    co_return Status();
  }
  Write();
  co_return Status();
}
METHOD(ReplicationStatus) {
  Status answered = Answer();
  if (!answered) co_return answered;
  response.mutable_status()->set_position(executed.ToEncoded());
  const FakeTablet* from = source.empty() ? nullptr : shard_.Find(source);
  if (from == nullptr) co_return Status();
  response.mutable_status()->set_source_host(from->record.mysql_hostname);
  response.mutable_status()->set_source_port(from->record.mysql_port);
  co_return Status();
}
METHOD(PrimaryPosition) {
  Status answered = Answer();
  response.set_position(executed.ToEncoded());
  co_return answered;
}

CONTROL(PromiseTerm) {
  Status answered = Answer();
  if (!answered) co_return answered;
  if (request.term() <= promised) {
    co_return Fail(Code::kFailedPrecondition, "term {} is not above the promised {}",
                   request.term(), promised);
  }
  promised = request.term();
  co_return Status();
}
CONTROL(Fence) {
  Status fine = CheckTerm(request.term());
  if (!fine) co_return fine;
  fenced = true;
  io_running = false;
  co_return Status();
}
CONTROL(Demote) {
  Status fine = CheckTerm(request.term());
  if (!fine) co_return fine;
  demoted = read_only = true;
  serving = false;
  co_return Status();
}
CONTROL(UndoDemote) {
  Status fine = CheckTerm(request.term());
  if (!fine) co_return fine;
  demoted = read_only = false;
  serving = true;
  co_return Status();
}
CONTROL(Repoint) {
  Status fine = CheckTerm(request.term());
  if (!fine) co_return fine;
  source = {request.primary().cell(), request.primary().uid()};
  semi_sync = request.semi_sync();
  fenced = demoted = false;
  io_running = serving = read_only = true;
  record.type = record::TabletType::kReplica;
  Follow();
  topo::Server::TabletFn set = [](record::Tablet& value) -> Result<bool> {
    bool changed = value.type != record::TabletType::kReplica;
    value.type = record::TabletType::kReplica;
    return changed;
  };
  auto written = co_await shard_.topo->UpdateTabletFields(record.alias, set, Deadline::In(5s));
  if (!written) co_return Fail(written.error());
  co_return Status();
}
CONTROL(Promote) {
  Status fine = CheckTerm(request.term());
  if (!fine) co_return fine;
  Result<gtid::Set> must = gtid::Set::ParseEncoded(request.must_contain());
  if (!must || !executed.Contains(*must))
    co_return Fail(Code::kFailedPrecondition, "it misses transactions");
  source = {};
  io_running = fenced = demoted = read_only = false;
  serving = true;
  acknowledgements = request.acknowledgements();
  journal = request.term();
  record.type = record::TabletType::kPrimary;
  Write();
  topo::Server::TabletFn set = [](record::Tablet& value) -> Result<bool> {
    value.type = record::TabletType::kPrimary;
    value.primary_term_start = {1'482'000'000'000'000'000};
    return true;
  };
  auto written = co_await shard_.topo->UpdateTabletFields(record.alias, set, Deadline::In(5s));
  if (!written) co_return Fail(written.error());
  co_return Status();
}
CONTROL(TabletState) {
  Status answered = Answer();
  if (!answered) co_return answered;
  response.mutable_tablet()->set_type(static_cast<topodata::TabletType>(record.type));
  response.set_promised_term(promised);
  response.set_journal_term(journal);
  response.set_mysqld_running(true);
  response.set_serving(serving);
  response.set_read_only(read_only);
  response.set_demoted(demoted);
  response.set_fenced(fenced);
  response.set_flavor("MySQL56");
  response.set_executed_position(executed.ToEncoded());
  response.set_received_position(executed.ToEncoded());
  const FakeTablet* from = source.empty() ? nullptr : shard_.Find(source);
  if (from != nullptr) {
    response.set_source_host(from->record.mysql_hostname);
    response.set_source_port(from->record.mysql_port);
  }
  response.set_io_running(io_running);
  response.set_sql_running(!source.empty());
  response.set_semi_sync_replica(semi_sync);
  response.set_semi_sync_source(acknowledgements > 0 && source.empty());
  response.set_semi_sync_required(acknowledgements);
  co_return Status();
}

FakeShard::FakeShard(int tablets) {
  for (int i = 0; i < tablets; ++i) {
    record::Tablet record;
    record.alias = {"asiaeast1c", static_cast<uint32_t>(100 + i)};
    record.hostname = record.mysql_hostname = fmt::format("10.64.1.{}", 6 + i);
    record.port_map = {{"vt", 15002}, {"grpc", 16002}};
    record.mysql_port = 3306;
    record.keyspace = "test_keyspace";
    record.shard = "0";
    record.type = record::TabletType::kReplica;
    tablets_[record.alias.uid] = std::make_shared<FakeTablet>(*this, record, i);
  }
}

io::Task<Status> FakeShard::Register(topo::Server* server, std::string durability) {
  topo = server;
  Deadline deadline = Deadline::In(5s);
  record::CellInfo cell{"memory", "/asiaeast1c"};
  Status made = co_await topo->CreateCellInfo("asiaeast1c", cell, deadline);
  record::Keyspace keyspace;
  keyspace.durability_policy = durability;
  if (made) made = co_await topo->CreateKeyspace("test_keyspace", keyspace, deadline);
  if (made) made = co_await topo->CreateShard("test_keyspace", "0", deadline);
  for (const auto& [uid, tablet] : tablets_) {
    if (made) made = co_await topo->CreateTablet(tablet->record, deadline);
  }
  co_return made;
}

Connect FakeShard::connect() {
  return [this](const record::Tablet& tablet) -> std::shared_ptr<port::TabletManager> {
    return tablets_.at(tablet.alias.uid);
  };
}

FakeTablet* FakeShard::Find(const record::TabletAlias& alias) {
  auto found = tablets_.find(alias.uid);
  return found == tablets_.end() ? nullptr : found->second.get();
}

}  // namespace paceline::vtctld
