#include "vtgate/topology_feed.h"

#include "base/log.h"
#include "topo/paths.h"

namespace paceline::vtgate {

TopologyFeed::TopologyFeed(topo::Server& topo, topo::Cache* cache, std::string cell,
                           Databases databases, Take take)
    : topo_(topo),
      cache_(cache),
      cell_(std::move(cell)),
      databases_(std::move(databases)),
      take_(std::move(take)) {
  Show({}, {});
  if (cache_ != nullptr) FromCache();
}

void TopologyFeed::Start() { io::Detach(Run(*this)); }

io::Task<void> TopologyFeed::Stop(Deadline deadline) {
  bool left = co_await gate_.Close(deadline);
  if (!left) LOG_WARNING("the topology feed did not end in time");
}

io::Task<void> TopologyFeed::Run(TopologyFeed& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  bool away = false;
  for (;;) {
    Status looked = co_await self.Look();
    if (!looked && !away)
      LOG_WARNING("the topology does not answer, going on with what is known: {}",
                  looked.error().ToString());
    if (looked && away) LOG_INFO("the topology answers again");
    away = !looked;
    Duration pause = self.shown_.empty() ? Duration(100ms) : Duration(1s);
    bool open = co_await io::Sleep(self.gate_, Deadline::In(pause));
    if (!open) co_return;
  }
}

io::Task<Status> TopologyFeed::Look() {
  Deadline deadline = Deadline::In(5s);
  auto names = co_await topo_.ListSrvKeyspaces(cell_, deadline);
  if (!names) co_return Fail(names.error());
  std::map<std::string, record::SrvKeyspace> keyspaces;
  for (const std::string& name : *names) {
    auto keyspace = co_await topo_.GetSrvKeyspace(cell_, name, deadline);
    if (!keyspace) {
      if (keyspace.error().code() == Code::kNotFound) continue;
      co_return Fail(keyspace.error());
    }
    if (cache_ != nullptr) cache_->Put(cell_, topo::SrvKeyspacePath(name), keyspace->raw);
    keyspaces.emplace(name, std::move(keyspace->value));
  }
  auto vschema = co_await topo_.GetSrvVSchema(cell_, deadline);
  if (!vschema && vschema.error().code() != Code::kNotFound) co_return Fail(vschema.error());
  if (keyspaces.empty() && !vschema && !shown_.empty()) {
    // Nobody deletes all of them: it was founded anew, and the tablets put them back (I6).
    co_return Fail(Code::kNotFound, "the topology is empty");
  }
  record::SrvVSchema value;
  if (vschema) {
    value = std::move(vschema->value);
    if (cache_ != nullptr) cache_->Put(cell_, topo::SrvVSchemaPath(), vschema->raw);
  }
  Show(value, keyspaces);
  if (cache_ != nullptr && cache_->changed()) {
    Status saved = co_await cache_->Save();
    if (!saved) LOG_WARNING("{}", saved.error().ToString());
  }
  co_return Status();
}

void TopologyFeed::FromCache() {
  std::map<std::string, record::SrvKeyspace> keyspaces;
  for (const auto& [path, bytes] : cache_->List(cell_, "keyspaces")) {
    size_t begin = path.find('/') + 1;
    size_t end = path.find('/', begin);
    Result<record::SrvKeyspace> keyspace = topo::Decode<record::SrvKeyspace>(bytes);
    if (end != std::string::npos && path.ends_with("/SrvKeyspace") && keyspace) {
      keyspaces.emplace(path.substr(begin, end - begin), std::move(*keyspace));
    }
  }
  record::SrvVSchema vschema = cache_->GetRecord<record::SrvVSchema>(cell_, topo::SrvVSchemaPath())
                                   .value_or(record::SrvVSchema());
  if (!keyspaces.empty()) Show(vschema, keyspaces);
}

void TopologyFeed::Show(const record::SrvVSchema& vschema,
                        const std::map<std::string, record::SrvKeyspace>& keyspaces) {
  std::string encoded = vschema.proto;
  for (const auto& [name, keyspace] : keyspaces)
    encoded += "\n" + name + "=" + topo::Encode(keyspace);
  std::map<std::string, std::string> databases = databases_();
  for (const auto& [name, database] : databases) encoded += "\n" + name + " is " + database;
  if (encoded == shown_ && !encoded.empty()) return;
  shown_ = encoded;
  auto view = std::make_shared<TopologyView>();
  std::set<std::string> names;
  for (const auto& [name, keyspace] : keyspaces) {
    names.insert(name);
    std::vector<std::string>& shards = view->shards[name];
    for (const record::SrvPartition& partition : keyspace.partitions) {
      if (partition.served_type != record::TabletType::kPrimary) continue;
      for (const record::SrvShard& shard : partition.shards) shards.push_back(shard.name);
    }
  }
  view->vschema = vschema::Snapshot::Build(vschema, names, databases);
  take_(std::move(view));
}

}  // namespace paceline::vtgate
