// vtgate/topology_feed.h - keeps a loop's TopologyView like the cell's serving graph: looks every
// second, keeps the last state while the topology is away, starts from a local copy (I6). Threads:
// one loop.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "io/sync.h"
#include "topo/cache.h"
#include "topo/server.h"
#include "vtgate/session.h"

namespace paceline::vtgate {

class TopologyFeed {
 public:
  using Take = std::function<void(std::shared_ptr<const TopologyView>)>;
  // The databases of keyspaces whose tablets serve another than vt_<keyspace>, as far as known.
  using Databases = std::function<std::map<std::string, std::string>()>;
  // `cache` may be null. `take` gets each new view, the first from the cache at once.
  TopologyFeed(topo::Server& topo, topo::Cache* cache, std::string cell, Databases databases,
               Take take);
  void Start();
  io::Task<void> Stop(Deadline deadline);

 private:
  static io::Task<void> Run(TopologyFeed& self);
  io::Task<Status> Look();
  void FromCache();
  void Show(const record::SrvVSchema& vschema,
            const std::map<std::string, record::SrvKeyspace>& keyspaces);

  topo::Server& topo_;
  topo::Cache* cache_;
  std::string cell_;
  Databases databases_;
  Take take_;
  std::string shown_;  // encoded, to tell a change
  io::Gate gate_;
};

}  // namespace paceline::vtgate
