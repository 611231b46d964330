// topo/server.h - the whole topology, typed: one global store, and one store per cell opened on
// demand from its CellInfo. Paths and encodings are Vitess's (topo/paths.h, topo/codec.h), so its
// processes may share the store. Threads: one loop. Lifetime: outlives its Watches and Locks; Stop
// before destroying. Errors: those of topo/conn.h, with the record's name put before; kDataLoss for
// records that cannot be decoded.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "io/sync.h"
#include "record/record.h"
#include "topo/codec.h"
#include "topo/conn.h"
#include "topo/typed_watch.h"

namespace paceline::topo {

class Cache;

// Opens the store of one cell ("global" included) without talking to it. Errors: kInvalidArgument.
class ConnFactory {
 public:
  virtual ~ConnFactory() = default;
  virtual Result<ConnPtr> Open(std::string_view cell, std::string_view address,
                               std::string_view root) = 0;
};

struct ServerOptions {
  std::string global_address, global_root;
  Duration lock_lease = 5s;  // of shard and keyspace locks; they only save wasted work (DESIGN 7)
};

struct TabletList {
  std::vector<Stored<record::Tablet>> tablets;  // by alias
  std::map<std::string, Error> failed_cells;    // cells that did not answer
};

struct TopologyNode {
  std::string name, path, data;  // data: decoded for display; empty for directories
  std::vector<std::string> children;
  Version version;
};

class Server {
 public:
  static Result<std::unique_ptr<Server>> Open(ServerOptions options,
                                              std::unique_ptr<ConnFactory> factory);
  ~Server();
  Conn& global() { return *global_; }
  // The cell's store. Errors: kNotFound for an unknown cell, kUnavailable.
  io::Task<Result<Conn*>> Cell(std::string cell, Deadline deadline);
  // Lets Cell() work while the global store is away (from topo::Cache); a CellInfo that is read
  // later replaces it.
  void RememberCell(std::string cell, record::CellInfo info);
  // Keeps the global records that are read in `copy`, which outlives this, and knows the cells that
  // stand in it.
  void KeepCopy(Cache* copy);
  const Cache* copy() const { return copy_; }
  io::Task<void> Stop();

  // Cells.
  io::Task<Result<std::vector<std::string>>> ListCells(Deadline deadline);
  io::Task<Result<Stored<record::CellInfo>>> GetCellInfo(std::string cell, Deadline deadline);
  io::Task<Status> CreateCellInfo(std::string cell, record::CellInfo info, Deadline deadline);
  io::Task<Status> UpdateCellInfo(std::string cell, record::CellInfo info,
                                  Deadline deadline);  // creates too
  io::Task<Status> DeleteCellInfo(std::string cell, Deadline deadline);
  io::Task<Result<std::map<std::string, record::CellsAlias>>> ListCellsAliases(Deadline deadline);
  io::Task<Status> CreateCellsAlias(std::string alias, record::CellsAlias value, Deadline deadline);
  io::Task<Status> UpdateCellsAlias(std::string alias, record::CellsAlias value, Deadline deadline);
  io::Task<Status> DeleteCellsAlias(std::string alias, Deadline deadline);
  // Cell names and alias names to cell names, sorted, each once. Errors: kNotFound naming the
  // unknown one.
  io::Task<Result<std::vector<std::string>>> ExpandCells(std::vector<std::string> names,
                                                         Deadline deadline);

  // Keyspaces. Names are validated on creation.
  io::Task<Result<std::vector<std::string>>> ListKeyspaces(Deadline deadline);
  io::Task<Result<Stored<record::Keyspace>>> GetKeyspace(std::string keyspace, Deadline deadline);
  io::Task<Status> CreateKeyspace(std::string keyspace, record::Keyspace value, Deadline deadline);
  // Fn may run several times, each on the newest value; false: nothing to write.
  using KeyspaceFn = std::function<Result<bool>(record::Keyspace&)>;
  io::Task<Result<record::Keyspace>> UpdateKeyspaceFields(std::string keyspace, KeyspaceFn fn,
                                                          Deadline deadline);
  // Its VSchema goes too; shards must be gone. Errors: kFailedPrecondition while it has shards.
  io::Task<Status> DeleteKeyspace(std::string keyspace, Deadline deadline);

  // Shards.
  io::Task<Result<std::vector<std::string>>> ListShards(std::string keyspace, Deadline deadline);
  io::Task<Result<std::map<std::string, Stored<record::Shard>>>> GetShards(std::string keyspace,
                                                                           Deadline deadline);
  io::Task<Result<Stored<record::Shard>>> GetShard(std::string keyspace, std::string shard,
                                                   Deadline deadline);
  // Key range from the name; serving unless it overlaps a shard that serves. Errors:
  // kAlreadyExists.
  io::Task<Status> CreateShard(std::string keyspace, std::string shard, Deadline deadline);
  // Creates keyspace and shard if need be; safe when many do so at once.
  io::Task<Result<Stored<record::Shard>>> GetOrCreateShard(std::string keyspace, std::string shard,
                                                           Deadline deadline);
  using ShardFn = std::function<Result<bool>(record::Shard&)>;
  io::Task<Result<record::Shard>> UpdateShardFields(std::string keyspace, std::string shard,
                                                    ShardFn fn, Deadline deadline);
  io::Task<Status> DeleteShard(std::string keyspace, std::string shard, Deadline deadline);

  // Tablets. Creation and deletion keep ShardReplication of the cell in step.
  io::Task<Result<Stored<record::Tablet>>> GetTablet(record::TabletAlias alias, Deadline deadline);
  io::Task<Status> CreateTablet(record::Tablet tablet, Deadline deadline);
  using TabletFn = std::function<Result<bool>(record::Tablet&)>;
  io::Task<Result<record::Tablet>> UpdateTabletFields(record::TabletAlias alias, TabletFn fn,
                                                      Deadline deadline);
  io::Task<Status> DeleteTablet(record::TabletAlias alias, Deadline deadline);
  io::Task<Result<std::vector<Stored<record::Tablet>>>> ListTabletsOfCell(std::string cell,
                                                                          Deadline deadline);
  // All cells; one that does not answer is named, not fatal.
  io::Task<Result<TabletList>> ListTablets(Deadline deadline);
  io::Task<Result<TabletList>> ListTabletsOfShard(std::string keyspace, std::string shard,
                                                  Deadline deadline);

  // Replication graph and serving graph of a cell.
  io::Task<Result<Stored<record::ShardReplication>>> GetShardReplication(std::string cell,
                                                                         std::string keyspace,
                                                                         std::string shard,
                                                                         Deadline deadline);
  using ReplicationFn = std::function<Result<bool>(record::ShardReplication&)>;
  io::Task<Status> UpdateShardReplication(std::string cell, std::string keyspace, std::string shard,
                                          ReplicationFn fn, Deadline deadline);
  io::Task<Status> DeleteShardReplication(std::string cell, std::string keyspace, std::string shard,
                                          Deadline deadline);
  io::Task<Result<Stored<record::SrvKeyspace>>> GetSrvKeyspace(std::string cell,
                                                               std::string keyspace,
                                                               Deadline deadline);
  io::Task<Result<std::vector<std::string>>> ListSrvKeyspaces(std::string cell, Deadline deadline);
  io::Task<Status> UpdateSrvKeyspace(std::string cell, std::string keyspace,
                                     record::SrvKeyspace value, Deadline deadline);
  io::Task<Status> DeleteSrvKeyspace(std::string cell, std::string keyspace, Deadline deadline);
  io::Task<Result<Stored<record::SrvVSchema>>> GetSrvVSchema(std::string cell, Deadline deadline);
  io::Task<Status> UpdateSrvVSchema(std::string cell, record::SrvVSchema value, Deadline deadline);
  io::Task<Status> DeleteSrvVSchema(std::string cell, Deadline deadline);

  // VSchema and rules. A missing one is an empty record with version 0.
  io::Task<Result<Stored<record::KeyspaceVSchema>>> GetVSchema(std::string keyspace,
                                                               Deadline deadline);
  io::Task<Status> SaveVSchema(std::string keyspace, record::KeyspaceVSchema value,
                               Deadline deadline);
  io::Task<Result<Stored<record::RoutingRules>>> GetRoutingRules(Deadline deadline);
  io::Task<Status> SaveRoutingRules(record::RoutingRules value, Deadline deadline);

  // Locks, with Vitess's contents. Release them.
  io::Task<Result<LockPtr>> LockShard(std::string keyspace, std::string shard, std::string action,
                                      Deadline deadline);
  io::Task<Result<LockPtr>> TryLockShard(std::string keyspace, std::string shard,
                                         std::string action, Deadline deadline);
  io::Task<Result<LockPtr>> LockKeyspace(std::string keyspace, std::string action,
                                         Deadline deadline);
  io::Task<Result<LockPtr>> LockName(std::string name, std::string action, Deadline deadline);

  // Watches; they heal by themselves (topo/conn.h).
  io::Task<Result<std::unique_ptr<ShardWatch>>> WatchShard(std::string keyspace, std::string shard,
                                                           Deadline deadline);
  io::Task<Result<std::unique_ptr<SrvVSchemaWatch>>> WatchSrvVSchema(std::string cell,
                                                                     Deadline deadline);
  io::Task<Result<std::unique_ptr<SrvKeyspaceWatch>>> WatchSrvKeyspace(std::string cell,
                                                                       std::string keyspace,
                                                                       Deadline deadline);
  io::Task<Result<std::unique_ptr<TabletWatch>>> WatchTablets(std::string cell, Deadline deadline);

  // SrvKeyspace of the given cells (none: all) from the shards that serve. `allow_partial`: key
  // ranges with holes. Errors: kFailedPrecondition naming the hole or overlap.
  io::Task<Status> RebuildKeyspace(std::string keyspace, std::vector<std::string> cells,
                                   bool allow_partial, Deadline deadline);
  // SrvVSchema of the given cells (none: all) from every keyspace's VSchema and all rules.
  io::Task<Status> RebuildVSchemaGraph(std::vector<std::string> cells, Deadline deadline);

  // "/global/keyspaces/commerce" or "/zone1/tablets/zone1-0000000100/Tablet"; "/" lists the cells.
  // For display and repair.
  io::Task<Result<TopologyNode>> GetTopologyPath(std::string path, Display display,
                                                 Deadline deadline);
  io::Task<Result<Version>> WriteTopologyPath(std::string path, std::string bytes, Version expected,
                                              Deadline deadline);

 private:
  Server(ServerOptions options, std::unique_ptr<ConnFactory> factory, ConnPtr global);
  struct OpenCell {
    record::CellInfo info;
    ConnPtr conn;
  };
  template <class T>
  io::Task<Result<Stored<T>>> Read(std::string cell, Path path, Deadline deadline);
  template <class T>
  io::Task<Status> Write(std::string cell, Path path, T value, Deadline deadline);
  template <class T>
  io::Task<Result<T>> Modify(std::string cell, Path path, std::function<Result<bool>(T&)> fn,
                             bool create, Deadline deadline);
  template <class T>
  io::Task<Result<std::unique_ptr<TypedWatch<T>>>> WatchRecord(std::string cell, Path path,
                                                               Deadline deadline);
  io::Task<Result<std::vector<std::string>>> ListNames(std::string cell, Path dir,
                                                       Deadline deadline);
  io::Task<Status> DeleteFile(std::string cell, Path path, Deadline deadline);
  io::Task<Result<LockPtr>> LockDir(Path dir, std::string action, bool wait, bool must_exist,
                                    Deadline deadline);
  io::Task<Result<std::vector<std::string>>> CellsOrAll(std::vector<std::string> cells,
                                                        Deadline deadline);

  ServerOptions options_;
  std::unique_ptr<ConnFactory> factory_;
  ConnPtr global_;
  std::map<std::string, OpenCell, std::less<>> cells_;
  std::map<std::string, record::CellInfo, std::less<>> remembered_;
  std::vector<ConnPtr> replaced_;  // of cells whose CellInfo changed; they may still be in use
  Cache* copy_ = nullptr;
  bool stopped_ = false;
};

}  // namespace paceline::topo
