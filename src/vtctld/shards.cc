// Shards: records, their removal, controls.
#include <algorithm>

#include "base/log.h"
#include "vtctld/method.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

void Fill(const record::KeyspaceShard& name, const record::Shard& value, vtctldata::Shard* out) {
  out->set_keyspace(name.keyspace);
  out->set_name(name.shard);
  vtctld::Fill(value, out->mutable_shard());
}

}  // namespace

VTCTLD_METHOD(CreateShard) {
  record::KeyspaceShard name{request.keyspace(), request.shard_name()};
  if (request.include_parent()) {
    record::Keyspace plain;
    Status made = co_await topo_.CreateKeyspace(name.keyspace, plain, deadline);
    if (!made && made.error().code() != Code::kAlreadyExists) co_return made;
  }
  auto keyspace = co_await topo_.GetKeyspace(name.keyspace, deadline);
  if (!keyspace)
    co_return Fail(keyspace.error().Context("the shard's keyspace (--include-parent creates it)"));
  Status created = co_await topo_.CreateShard(name.keyspace, name.shard, deadline);
  if (!created) {
    if (created.error().code() != Code::kAlreadyExists) co_return created;
    if (!request.force()) {
      co_return Fail(Code::kAlreadyExists, "shard {} already exists (--force accepts that)",
                     name.ToString());
    }
    response.set_shard_already_exists(true);
  }
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  response.mutable_keyspace()->set_name(name.keyspace);
  vtctld::Fill(*keyspace, response.mutable_keyspace()->mutable_keyspace());
  Fill(name, shard->value, response.mutable_shard());
  co_return Status();
}

VTCTLD_METHOD(GetShard) {
  auto shard = co_await topo_.GetShard(request.keyspace(), request.shard_name(), deadline);
  if (!shard) co_return Fail(shard.error());
  response.mutable_shard()->set_keyspace(request.keyspace());
  response.mutable_shard()->set_name(request.shard_name());
  vtctld::Fill(*shard, response.mutable_shard()->mutable_shard());
  co_return Status();
}

io::Task<Status> Vtctld::DeleteOneTablet(record::TabletAlias alias, bool allow_primary,
                                         Deadline deadline) {
  auto tablet = co_await topo_.GetTablet(alias, deadline);
  if (!tablet) co_return Fail(tablet.error());
  const record::Tablet& value = tablet->value;
  auto shard = co_await topo_.GetShard(value.keyspace, value.shard, deadline);
  bool leads = shard && shard->value.primary_alias == alias;
  if (leads && !allow_primary) {
    co_return Fail(Code::kFailedPrecondition,
                   "{} is the primary of {}/{}: reparent first, or use --allow-primary",
                   alias.ToString(), value.keyspace, value.shard);
  }
  if (leads) {
    topo::Server::ShardFn clear = [alias](record::Shard& record) -> Result<bool> {
      if (record.primary_alias != alias) return false;
      record.primary_alias = {};
      record.primary_term_start = {};
      return true;
    };
    auto cleared = co_await topo_.UpdateShardFields(value.keyspace, value.shard, clear, deadline);
    if (!cleared) co_return Fail(cleared.error());
  }
  Status deleted = co_await topo_.DeleteTablet(alias, deadline);
  co_return deleted;
}

io::Task<Status> Vtctld::DeleteOneShard(record::KeyspaceShard name, bool recursive,
                                        bool even_if_serving, bool force, Deadline deadline) {
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) {
    if (force && shard.error().code() == Code::kNotFound) co_return Status();
    co_return Fail(shard.error());
  }
  auto cells = co_await topo_.ListCells(deadline);
  if (!cells) co_return Fail(cells.error());
  for (const std::string& cell : *cells) {
    if (even_if_serving) break;
    auto serving = co_await topo_.GetSrvKeyspace(cell, name.keyspace, deadline);
    if (!serving) continue;
    for (const record::SrvPartition& partition : serving->value.partitions) {
      bool there = std::ranges::find(partition.shards, name.shard, &record::SrvShard::name) !=
                   partition.shards.end();
      if (!there) continue;
      co_return Fail(
          Code::kFailedPrecondition,
          "shard {} still serves in cell {}: use --even-if-serving to delete it all the same",
          name.ToString(), cell);
    }
  }
  auto tablets = co_await topo_.ListTabletsOfShard(name.keyspace, name.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  if (!tablets->tablets.empty() && !recursive) {
    co_return Fail(Code::kFailedPrecondition,
                   "shard {} still has {} tablets: use --recursive to delete them too",
                   name.ToString(), tablets->tablets.size());
  }
  for (const auto& tablet : tablets->tablets) {
    Status deleted = co_await topo_.DeleteTablet(tablet.value.alias, deadline);
    if (!deleted && deleted.error().code() != Code::kNotFound) co_return deleted;
  }
  for (const std::string& cell : *cells) {
    Status gone = co_await topo_.DeleteShardReplication(cell, name.keyspace, name.shard, deadline);
    if (!gone && gone.error().code() != Code::kNotFound) {
      LOG_WARNING("deleting ShardReplication of {} in {}: {}", name.ToString(), cell,
                  gone.error().message());
    }
  }
  Status deleted = co_await topo_.DeleteShard(name.keyspace, name.shard, deadline);
  co_return deleted;
}

VTCTLD_METHOD(DeleteShards) {
  for (const vtctldata::Shard& shard : request.shards()) {
    record::KeyspaceShard name{shard.keyspace(), shard.name()};
    Status deleted = co_await DeleteOneShard(name, request.recursive(), request.even_if_serving(),
                                             request.force(), deadline);
    if (!deleted) co_return deleted;
  }
  co_return Status();
}

io::Task<Status> Vtctld::RemoveCellOfShard(record::KeyspaceShard name, std::string cell, bool force,
                                           bool recursive, Deadline deadline) {
  auto shard = co_await topo_.GetShard(name.keyspace, name.shard, deadline);
  if (!shard) co_return Fail(shard.error());
  if (shard->value.primary_alias.cell == cell) {
    co_return Fail(Code::kFailedPrecondition,
                   "cell {} holds the primary {} of shard {}: reparent first", cell,
                   shard->value.primary_alias.ToString(), name.ToString());
  }
  auto nodes = co_await topo_.GetShardReplication(cell, name.keyspace, name.shard, deadline);
  if (!nodes && nodes.error().code() == Code::kNotFound) co_return Status();
  if (!nodes && !force)
    co_return Fail(nodes.error().Context("cell " + cell + " does not answer; --force goes on"));
  if (!nodes) co_return Status();
  if (!nodes->value.nodes.empty() && !recursive) {
    co_return Fail(Code::kFailedPrecondition,
                   "cell {} has {} tablets of shard {}: use --recursive to delete them too", cell,
                   nodes->value.nodes.size(), name.ToString());
  }
  for (const record::TabletAlias& alias : nodes->value.nodes) {
    Status deleted = co_await topo_.DeleteTablet(alias, deadline);
    if (!deleted && deleted.error().code() != Code::kNotFound) co_return deleted;
  }
  Status gone = co_await topo_.DeleteShardReplication(cell, name.keyspace, name.shard, deadline);
  if (!gone && gone.error().code() != Code::kNotFound) co_return gone;
  co_return Status();
}

VTCTLD_METHOD(RemoveShardCell) {
  record::KeyspaceShard name{request.keyspace(), request.shard_name()};
  Status removed = co_await RemoveCellOfShard(name, request.cell(), request.force(),
                                              request.recursive(), deadline);
  co_return removed;
}

VTCTLD_METHOD(SetShardIsPrimaryServing) {
  bool serving = request.is_serving();
  topo::Server::ShardFn set = [serving](record::Shard& value) -> Result<bool> {
    value.is_primary_serving = serving;
    return true;
  };
  auto updated =
      co_await topo_.UpdateShardFields(request.keyspace(), request.shard(), set, deadline);
  if (!updated) co_return Fail(updated.error());
  vtctld::Fill(*updated, response.mutable_shard());
  co_return Status();
}

namespace {

struct Control {
  record::TabletType type;
  std::vector<std::string> cells, tables;
  bool remove;
};

// Denied tables of one tablet type: one entry a type, as Vitess keeps them.
Result<bool> Apply(const Control& control, record::Shard& shard) {
  auto& all = shard.tablet_controls;
  auto found = std::ranges::find(all, control.type, &record::TabletControl::tablet_type);
  if (control.remove) {
    if (found == all.end()) return false;
    if (found->frozen)
      return Fail(Code::kFailedPrecondition,
                  "the table control is frozen: a workflow is switching");
    if (control.cells.empty() && control.tables.empty()) {
      all.erase(found);
      return true;
    }
    auto drop = [](std::vector<std::string>& from, const std::vector<std::string>& what) {
      std::erase_if(from, [&](const std::string& name) {
        return std::ranges::find(what, name) != what.end();
      });
    };
    drop(found->cells, control.cells);
    drop(found->denied_tables, control.tables);
    bool empty = control.tables.empty() ? found->cells.empty() : found->denied_tables.empty();
    if (empty) all.erase(found);
    return true;
  }
  if (found == all.end()) {
    all.push_back({control.type, control.cells, control.tables, false});
    return true;
  }
  if (found->frozen)
    return Fail(Code::kFailedPrecondition, "the table control is frozen: a workflow is switching");
  auto add = [](std::vector<std::string>& to, const std::vector<std::string>& what) {
    for (const std::string& name : what) {
      if (std::ranges::find(to, name) == to.end()) to.push_back(name);
    }
  };
  add(found->cells, control.cells);
  add(found->denied_tables, control.tables);
  return true;
}

}  // namespace

VTCTLD_METHOD(SetShardTabletControl) {
  if (request.denied_tables().empty() && !request.remove()) {
    co_return Fail(Code::kUnimplemented,
                   "switching off the query service of a shard in SrvKeyspace belongs to Reshard, "
                   "which a later version "
                   "brings; give --denied-tables or --remove");
  }
  Control control{static_cast<record::TabletType>(request.tablet_type()), ToVector(request.cells()),
                  ToVector(request.denied_tables()), request.remove()};
  topo::Server::ShardFn set = [control](record::Shard& value) { return Apply(control, value); };
  auto updated =
      co_await topo_.UpdateShardFields(request.keyspace(), request.shard(), set, deadline);
  if (!updated) co_return Fail(updated.error());
  vtctld::Fill(*updated, response.mutable_shard());
  co_return Status();
}

VTCTLD_METHOD(SourceShardAdd) {
  record::SourceShard source;
  source.uid = request.uid();
  source.keyspace = request.source_keyspace();
  source.shard = request.source_shard();
  source.tables = ToVector(request.tables());
  if (request.has_key_range())
    source.key_range = record::KeyRange{request.key_range().start(), request.key_range().end()};
  bool added = false;
  topo::Server::ShardFn add = [&added, source](record::Shard& value) -> Result<bool> {
    added = std::ranges::find(value.source_shards, source.uid, &record::SourceShard::uid) ==
            value.source_shards.end();
    if (added) value.source_shards.push_back(source);
    return added;
  };
  auto updated =
      co_await topo_.UpdateShardFields(request.keyspace(), request.shard(), add, deadline);
  if (!updated) co_return Fail(updated.error());
  // No shard in the answer means: it was there already.
  if (added) vtctld::Fill(*updated, response.mutable_shard());
  co_return Status();
}

VTCTLD_METHOD(SourceShardDelete) {
  int32_t uid = request.uid();
  bool removed = false;
  topo::Server::ShardFn remove = [&removed, uid](record::Shard& value) -> Result<bool> {
    removed = std::erase_if(value.source_shards,
                            [uid](const auto& source) { return source.uid == uid; }) > 0;
    return removed;
  };
  auto updated =
      co_await topo_.UpdateShardFields(request.keyspace(), request.shard(), remove, deadline);
  if (!updated) co_return Fail(updated.error());
  if (removed) vtctld::Fill(*updated, response.mutable_shard());
  co_return Status();
}

}  // namespace paceline::vtctld
