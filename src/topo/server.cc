#include "topo/server.h"

#include <algorithm>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/log.h"
#include "base/strings.h"
#include "io/loop.h"
#include "topo/paths.h"
#include "topo/server_impl.h"

namespace paceline::topo {

Server::Server(ServerOptions options, std::unique_ptr<ConnFactory> factory, ConnPtr global)
    : options_(std::move(options)), factory_(std::move(factory)), global_(std::move(global)) {}

Server::~Server() = default;

Result<std::unique_ptr<Server>> Server::Open(ServerOptions options,
                                             std::unique_ptr<ConnFactory> factory) {
  Result<ConnPtr> global = factory->Open(kGlobalCell, options.global_address, options.global_root);
  if (!global) return Fail(global.error().Context("opening the global topology"));
  return std::unique_ptr<Server>(
      new Server(std::move(options), std::move(factory), std::move(*global)));
}

void Server::RememberCell(std::string cell, record::CellInfo info) {
  remembered_.insert_or_assign(std::move(cell), std::move(info));
}

void Server::KeepCopy(Cache* copy) {
  copy_ = copy;
  for (const auto& [path, bytes] : copy->List(kGlobalCell, "cells")) {
    Result<record::CellInfo> info = Decode<record::CellInfo>(bytes);
    std::string_view name = std::string_view(path).substr(6, path.rfind('/') - 6);
    if (info && path == CellInfoPath(name)) RememberCell(std::string(name), std::move(*info));
  }
}

io::Task<Result<Conn*>> Server::Cell(std::string cell, Deadline deadline) {
  if (stopped_) co_return Fail(Code::kCanceled, "the topology was stopped");
  if (cell == kGlobalCell) co_return global_.get();
  auto open = cells_.find(cell);
  if (open != cells_.end()) co_return open->second.conn.get();
  record::CellInfo info;
  // A remembered cell must be reachable at once even while the global store hangs.
  auto remembered = remembered_.find(cell);
  Deadline until = deadline;
  if (remembered != remembered_.end()) {
    until = deadline.EarlierOf(Deadline::After(io::Loop::Current().clock(), 1s));
  }
  Result<Stored<record::CellInfo>> read = co_await GetCellInfo(cell, until);
  if (read) {
    info = read->value;
    RememberCell(cell, info);
  } else {
    remembered = remembered_.find(cell);
    bool away =
        read.error().code() == Code::kUnavailable || read.error().code() == Code::kDeadlineExceeded;
    if (!away || remembered == remembered_.end()) co_return Fail(read.error());
    info = remembered->second;
  }
  open = cells_.find(cell);  // another caller may have been faster
  if (open != cells_.end()) co_return open->second.conn.get();
  Result<ConnPtr> conn = factory_->Open(cell, info.server_address, info.root);
  if (!conn) co_return Fail(conn.error().Context("opening the topology of cell " + cell));
  Conn* opened = conn->get();
  cells_.emplace(cell, OpenCell{info, std::move(*conn)});
  co_return opened;
}

io::Task<void> Server::Stop() {
  stopped_ = true;
  for (auto& [cell, open] : cells_) co_await open.conn->Stop();
  for (ConnPtr& conn : replaced_) co_await conn->Stop();
  co_await global_->Stop();
}

io::Task<Result<std::vector<std::string>>> Server::ListNames(std::string cell, Path dir,
                                                             Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  Result<std::vector<DirEntry>> entries = co_await (*conn)->ListDir(dir, deadline);
  std::vector<std::string> names;
  if (!entries) {
    if (entries.error().code() != Code::kNotFound)
      co_return Fail(entries.error().Context("listing " + dir));
    co_return names;
  }
  for (DirEntry& entry : *entries) {
    if (entry.is_directory && !entry.ephemeral) names.push_back(std::move(entry.name));
  }
  co_return names;
}

io::Task<Status> Server::DeleteFile(std::string cell, Path path, Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  Status deleted = co_await (*conn)->Delete(path, kAnyVersion, deadline);
  co_return deleted;
}

io::Task<Result<std::vector<std::string>>> Server::CellsOrAll(std::vector<std::string> cells,
                                                              Deadline deadline) {
  if (cells.empty()) {
    Result<std::vector<std::string>> all = co_await ListCells(deadline);
    co_return all;
  }
  Result<std::vector<std::string>> expanded = co_await ExpandCells(cells, deadline);
  co_return expanded;
}

// Cells.

io::Task<Result<std::vector<std::string>>> Server::ListCells(Deadline deadline) {
  auto names_task = ListNames("global", "cells", deadline);
  Result<std::vector<std::string>> names = co_await names_task;
  co_return names;
}

io::Task<Result<Stored<record::CellInfo>>> Server::GetCellInfo(std::string cell,
                                                               Deadline deadline) {
  auto info_task = Read<record::CellInfo>("global", CellInfoPath(cell), deadline);
  Result<Stored<record::CellInfo>> info = co_await info_task;
  co_return info;
}

io::Task<Status> Server::CreateCellInfo(std::string cell, record::CellInfo info,
                                        Deadline deadline) {
  Status valid = record::ValidateName("cell", cell);
  if (!valid) co_return Fail(valid.error());
  if (cell == kGlobalCell)
    co_return Fail(Code::kInvalidArgument, "a cell cannot be called \"global\"");
  if (info.server_address.empty()) {
    co_return Fail(Code::kInvalidArgument, "cell {} needs the address of its topology server",
                   cell);
  }
  std::string bytes = Encode(info);
  std::string path = CellInfoPath(cell);
  Result<Version> created = co_await global_->Create(path, bytes, deadline);
  if (!created) co_return Fail(created.error().Context("creating cell " + cell));
  co_return Status();
}

io::Task<Status> Server::UpdateCellInfo(std::string cell, record::CellInfo info,
                                        Deadline deadline) {
  Status valid = record::ValidateName("cell", cell);
  if (!valid) co_return Fail(valid.error());
  auto written_task = Write<record::CellInfo>("global", CellInfoPath(cell), info, deadline);
  Status written = co_await written_task;
  auto open = cells_.find(cell);
  if (written && open != cells_.end() && open->second.info != info) {
    replaced_.push_back(std::move(open->second.conn));
    cells_.erase(open);
  }
  co_return written;
}

io::Task<Status> Server::DeleteCellInfo(std::string cell, Deadline deadline) {
  auto deleted_task = DeleteFile("global", CellInfoPath(cell), deadline);
  Status deleted = co_await deleted_task;
  if (!deleted) co_return Fail(deleted.error().Context("deleting cell " + cell));
  auto open = cells_.find(cell);
  if (open != cells_.end()) {
    replaced_.push_back(std::move(open->second.conn));
    cells_.erase(open);
  }
  remembered_.erase(cell);
  co_return Status();
}

io::Task<Result<std::map<std::string, record::CellsAlias>>> Server::ListCellsAliases(
    Deadline deadline) {
  auto files_task = global_->List("cells_aliases", deadline);
  Result<std::vector<File>> files = co_await files_task;
  if (!files) co_return Fail(files.error().Context("listing cells aliases"));
  std::map<std::string, record::CellsAlias> aliases;
  for (const File& file : *files) {
    std::vector<std::string_view> parts = Split(file.path, '/');
    if (parts.size() != 3) continue;
    Result<record::CellsAlias> alias = Decode<record::CellsAlias>(file.data);
    if (!alias) co_return Fail(alias.error().Context(file.path));
    aliases.emplace(std::string(parts[1]), std::move(*alias));
  }
  co_return aliases;
}

io::Task<Status> Server::CreateCellsAlias(std::string alias, record::CellsAlias value,
                                          Deadline deadline) {
  Status valid = record::ValidateName("cells alias", alias);
  if (!valid) co_return Fail(valid.error());
  std::string bytes = Encode(value);
  std::string path = CellsAliasPath(alias);
  Result<Version> created = co_await global_->Create(path, bytes, deadline);
  if (!created) co_return Fail(created.error().Context("creating cells alias " + alias));
  co_return Status();
}

io::Task<Status> Server::UpdateCellsAlias(std::string alias, record::CellsAlias value,
                                          Deadline deadline) {
  Status valid = record::ValidateName("cells alias", alias);
  if (!valid) co_return Fail(valid.error());
  auto written_task = Write<record::CellsAlias>("global", CellsAliasPath(alias), value, deadline);
  Status written = co_await written_task;
  co_return written;
}

io::Task<Status> Server::DeleteCellsAlias(std::string alias, Deadline deadline) {
  auto deleted_task = DeleteFile("global", CellsAliasPath(alias), deadline);
  Status deleted = co_await deleted_task;
  co_return deleted;
}

io::Task<Result<std::vector<std::string>>> Server::ExpandCells(std::vector<std::string> names,
                                                               Deadline deadline) {
  Result<std::vector<std::string>> cells = co_await ListCells(deadline);
  if (!cells) co_return Fail(cells.error());
  std::set<std::string> known(cells->begin(), cells->end()), chosen;
  std::map<std::string, record::CellsAlias> aliases;
  bool aliases_read = false;
  for (const std::string& name : names) {
    if (known.contains(name)) {
      chosen.insert(name);
      continue;
    }
    if (!aliases_read) {
      Result<std::map<std::string, record::CellsAlias>> read = co_await ListCellsAliases(deadline);
      if (!read) co_return Fail(read.error());
      aliases = std::move(*read);
      aliases_read = true;
    }
    auto alias = aliases.find(name);
    if (alias == aliases.end())
      co_return Fail(Code::kNotFound, "\"{}\" is neither a cell nor a cells alias", name);
    chosen.insert(alias->second.cells.begin(), alias->second.cells.end());
  }
  co_return std::vector<std::string>(chosen.begin(), chosen.end());
}

// Keyspaces.

io::Task<Result<std::vector<std::string>>> Server::ListKeyspaces(Deadline deadline) {
  auto names_task = ListNames("global", "keyspaces", deadline);
  Result<std::vector<std::string>> names = co_await names_task;
  co_return names;
}

io::Task<Result<Stored<record::Keyspace>>> Server::GetKeyspace(std::string keyspace,
                                                               Deadline deadline) {
  auto read_task = Read<record::Keyspace>("global", KeyspacePath(keyspace), deadline);
  Result<Stored<record::Keyspace>> read = co_await read_task;
  co_return read;
}

io::Task<Status> Server::CreateKeyspace(std::string keyspace, record::Keyspace value,
                                        Deadline deadline) {
  Status valid = record::ValidateName("keyspace", keyspace);
  if (!valid) co_return Fail(valid.error());
  std::string bytes = Encode(value);
  std::string path = KeyspacePath(keyspace);
  Result<Version> created = co_await global_->Create(path, bytes, deadline);
  if (!created) co_return Fail(created.error().Context("creating keyspace " + keyspace));
  co_return Status();
}

io::Task<Result<record::Keyspace>> Server::UpdateKeyspaceFields(std::string keyspace, KeyspaceFn fn,
                                                                Deadline deadline) {
  auto updated_task =
      Modify<record::Keyspace>("global", KeyspacePath(keyspace), fn, false, deadline);
  Result<record::Keyspace> updated = co_await updated_task;
  co_return updated;
}

io::Task<Status> Server::DeleteKeyspace(std::string keyspace, Deadline deadline) {
  Result<std::vector<std::string>> shards = co_await ListShards(keyspace, deadline);
  if (!shards) co_return Fail(shards.error());
  if (!shards->empty()) {
    co_return Fail(Code::kFailedPrecondition, "keyspace {} still has {} shards: delete them first",
                   keyspace, shards->size());
  }
  auto deleted_task = DeleteFile("global", KeyspacePath(keyspace), deadline);
  Status deleted = co_await deleted_task;
  if (!deleted) co_return Fail(deleted.error().Context("deleting keyspace " + keyspace));
  auto vschema_task = DeleteFile("global", KeyspaceVSchemaPath(keyspace), deadline);
  Status vschema = co_await vschema_task;
  if (!vschema && vschema.error().code() != Code::kNotFound) co_return Fail(vschema.error());
  co_return Status();
}

// Tablets.

io::Task<Result<Stored<record::Tablet>>> Server::GetTablet(record::TabletAlias alias,
                                                           Deadline deadline) {
  auto read_task = Read<record::Tablet>(alias.cell, TabletPath(alias), deadline);
  Result<Stored<record::Tablet>> read = co_await read_task;
  co_return read;
}

io::Task<Status> Server::CreateTablet(record::Tablet tablet, Deadline deadline) {
  Result<Conn*> conn = co_await Cell(tablet.alias.cell, deadline);
  if (!conn) co_return Fail(conn.error());
  std::string bytes = Encode(tablet);
  std::string path = TabletPath(tablet.alias);
  Result<Version> created = co_await (*conn)->Create(path, bytes, deadline);
  if (!created)
    co_return Fail(created.error().Context("creating tablet " + tablet.alias.ToString()));
  record::TabletAlias alias = tablet.alias;
  ReplicationFn add = [alias](record::ShardReplication& graph) -> Result<bool> {
    if (std::ranges::find(graph.nodes, alias) != graph.nodes.end()) return false;
    graph.nodes.push_back(alias);
    return true;
  };
  Status added =
      co_await UpdateShardReplication(alias.cell, tablet.keyspace, tablet.shard, add, deadline);
  co_return added;
}

io::Task<Result<record::Tablet>> Server::UpdateTabletFields(record::TabletAlias alias, TabletFn fn,
                                                            Deadline deadline) {
  auto updated_task = Modify<record::Tablet>(alias.cell, TabletPath(alias), fn, false, deadline);
  Result<record::Tablet> updated = co_await updated_task;
  co_return updated;
}

io::Task<Status> Server::DeleteTablet(record::TabletAlias alias, Deadline deadline) {
  Result<Stored<record::Tablet>> tablet = co_await GetTablet(alias, deadline);
  if (!tablet) co_return Fail(tablet.error());
  auto deleted_task = DeleteFile(alias.cell, TabletPath(alias), deadline);
  Status deleted = co_await deleted_task;
  if (!deleted) co_return Fail(deleted.error().Context("deleting tablet " + alias.ToString()));
  ReplicationFn remove = [alias](record::ShardReplication& graph) -> Result<bool> {
    return std::erase(graph.nodes, alias) > 0;
  };
  std::string keyspace = tablet->value.keyspace, shard = tablet->value.shard;
  Status removed = co_await UpdateShardReplication(alias.cell, keyspace, shard, remove, deadline);
  co_return removed;
}

io::Task<Result<std::vector<Stored<record::Tablet>>>> Server::ListTabletsOfCell(std::string cell,
                                                                                Deadline deadline) {
  Result<Conn*> conn = co_await Cell(cell, deadline);
  if (!conn) co_return Fail(conn.error());
  auto files_task = (*conn)->List("tablets", deadline);
  Result<std::vector<File>> files = co_await files_task;
  if (!files) co_return Fail(files.error().Context("listing tablets of cell " + cell));
  std::vector<Stored<record::Tablet>> tablets;
  for (File& file : *files) {
    if (!file.path.ends_with("/Tablet")) continue;
    Result<record::Tablet> tablet = Decode<record::Tablet>(file.data);
    if (!tablet) {
      // One damaged record must not hide the cell's other tablets.
      LOG_WARNING("cell {}: {}: {}", cell, file.path, tablet.error().message());
      continue;
    }
    tablets.push_back({std::move(*tablet), file.version, std::move(file.data)});
  }
  co_return tablets;
}

io::Task<Result<TabletList>> Server::ListTablets(Deadline deadline) {
  Result<std::vector<std::string>> cells = co_await ListCells(deadline);
  if (!cells) co_return Fail(cells.error());
  // One cell that hangs must leave time for the others.
  Time now = io::Loop::Current().Now();
  TabletList list;
  size_t left = cells->size();
  for (const std::string& cell : *cells) {
    now = io::Loop::Current().Now();
    Deadline share = Deadline::At(now + deadline.Left(now) / static_cast<int64_t>(left--));
    Result<std::vector<Stored<record::Tablet>>> tablets = co_await ListTabletsOfCell(cell, share);
    if (!tablets) {
      list.failed_cells.emplace(cell, tablets.error());
      continue;
    }
    for (auto& tablet : *tablets) list.tablets.push_back(std::move(tablet));
  }
  std::ranges::sort(list.tablets, {}, [](const auto& stored) { return stored.value.alias; });
  co_return list;
}

io::Task<Result<TabletList>> Server::ListTabletsOfShard(std::string keyspace, std::string shard,
                                                        Deadline deadline) {
  Result<TabletList> list = co_await ListTablets(deadline);
  if (list) {
    std::erase_if(list->tablets, [&](const auto& stored) {
      return stored.value.keyspace != keyspace || stored.value.shard != shard;
    });
  }
  co_return list;
}

// Raw access.

namespace {

// "/cell/rest" in two; rest may be empty.
std::pair<std::string, std::string> SplitCell(std::string_view path) {
  while (path.starts_with('/')) path.remove_prefix(1);
  while (path.ends_with('/')) path.remove_suffix(1);
  size_t slash = path.find('/');
  if (slash == std::string_view::npos) return {std::string(path), ""};
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

}  // namespace

io::Task<Result<TopologyNode>> Server::GetTopologyPath(std::string path, Display display,
                                                       Deadline deadline) {
  TopologyNode node;
  node.path = path;
  auto [cell, rest] = SplitCell(path);
  std::string cell_name = cell, inside = rest;
  if (cell_name.empty()) {
    Result<std::vector<std::string>> cells = co_await ListCells(deadline);
    if (!cells) co_return Fail(cells.error());
    node.children = std::move(*cells);
    node.children.insert(node.children.begin(), std::string(kGlobalCell));
    co_return node;
  }
  node.name = inside.empty() ? cell_name : inside.substr(inside.rfind('/') + 1);
  Result<Conn*> conn = co_await Cell(cell_name, deadline);
  if (!conn) co_return Fail(conn.error());
  if (!inside.empty()) {
    Result<File> file = co_await (*conn)->Get(inside, deadline);
    if (file) {
      Result<std::string> shown = DisplayContents(inside, file->data, display);
      if (!shown) co_return Fail(shown.error());
      node.data = std::move(*shown);
      node.version = file->version;
      co_return node;
    }
    if (file.error().code() != Code::kNotFound) co_return Fail(file.error());
  }
  Result<std::vector<DirEntry>> entries = co_await (*conn)->ListDir(inside, deadline);
  if (!entries) co_return Fail(entries.error());
  for (DirEntry& entry : *entries) node.children.push_back(std::move(entry.name));
  co_return node;
}

io::Task<Result<Version>> Server::WriteTopologyPath(std::string path, std::string bytes,
                                                    Version expected, Deadline deadline) {
  auto [cell, rest] = SplitCell(path);
  std::string cell_name = cell, inside = rest;
  Result<Conn*> conn = co_await Cell(cell_name, deadline);
  if (!conn) co_return Fail(conn.error());
  Result<Version> written = co_await (*conn)->Update(inside, bytes, expected, deadline);
  co_return written;
}

}  // namespace paceline::topo
