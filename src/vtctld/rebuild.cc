#include "vtctld/rebuild.h"

#include "topo/codec.h"
#include "topo/paths.h"

namespace paceline::vtctld {
namespace {

struct Copy {
  const topo::CarriedFile* file;
  const Carrier* carrier;
};

bool Newer(const topo::CarriedFile& a, const topo::CarriedFile& b) {
  return a.identity == b.identity ? a.version > b.version : a.received > b.received;
}

// Of each shard, the tablet that leads the latest term.
std::map<std::string, const record::Tablet*> Leaders(const std::vector<Carrier>& carriers) {
  std::map<std::string, const record::Tablet*> leaders;  // by path of the shard's record
  for (const Carrier& carrier : carriers) {
    const record::Tablet& tablet = carrier.tablet;
    if (tablet.type != record::TabletType::kPrimary) continue;
    const record::Tablet*& leader = leaders[topo::ShardPath(tablet.keyspace, tablet.shard)];
    if (leader == nullptr || tablet.primary_term_start > leader->primary_term_start)
      leader = &tablet;
  }
  return leaders;
}

}  // namespace

std::vector<RebuildChange> PlanRebuild(const std::vector<Carrier>& carriers,
                                       const std::map<std::string, std::string>& current) {
  std::map<std::string, Copy> newest;
  for (const Carrier& carrier : carriers) {
    for (const topo::CarriedFile& file : carrier.files) {
      auto [known, fresh] = newest.try_emplace(file.path, Copy{&file, &carrier});
      if (!fresh && Newer(file, *known->second.file)) known->second = {&file, &carrier};
    }
  }
  std::map<std::string, RebuildChange> wanted;  // by path
  for (const auto& [path, copy] : newest) {
    wanted[path] = {"global", path, std::nullopt, copy.file->data,
                    fmt::format("{}'s copy, version {}", copy.carrier->tablet.alias.ToString(),
                                copy.file->version.number)};
  }
  for (const Carrier& carrier : carriers) {  // a shard that nobody has a copy of
    const record::Tablet& tablet = carrier.tablet;
    std::string path = topo::ShardPath(tablet.keyspace, tablet.shard);
    if (wanted.contains(path)) continue;
    record::Shard shard;
    shard.key_range = tablet.key_range;
    wanted[path] = {"global", path, std::nullopt, topo::Encode(shard), tablet.alias.ToString()};
  }
  for (const auto& [path, leader] : Leaders(carriers)) {
    RebuildChange& change = wanted[path];
    Result<record::Shard> shard = topo::Decode<record::Shard>(change.to);
    if (!shard || shard->primary_term_start >= leader->primary_term_start) continue;
    shard->primary_alias = leader->alias;
    shard->primary_term_start = leader->primary_term_start;
    change.to = topo::Encode(*shard, change.to);
    change.source = leader->alias.ToString() + ", which leads";
  }
  std::vector<RebuildChange> changes;
  for (auto& [path, change] : wanted) {
    auto stored = current.find("global/" + path);
    if (stored != current.end()) {
      if (stored->second == change.to) continue;
      if (path.ends_with("/Shard")) {
        Result<record::Shard> now = topo::Decode<record::Shard>(stored->second);
        Result<record::Shard> then = topo::Decode<record::Shard>(change.to);
        if (now && then && now->primary_term_start > then->primary_term_start) continue;
        if (now && then && *now == *then) continue;
      }
      change.from = stored->second;
    }
    changes.push_back(std::move(change));
  }
  for (const Carrier& carrier : carriers) {
    const record::TabletAlias& alias = carrier.tablet.alias;
    RebuildChange change{alias.cell, topo::TabletPath(alias), std::nullopt, "", alias.ToString()};
    auto stored = current.find(alias.cell + "/" + change.path);
    if (stored != current.end()) {
      change.from = stored->second;
      Result<record::Tablet> now = topo::Decode<record::Tablet>(stored->second);
      record::Tablet then = carrier.tablet;
      if (now) then.tags = now->tags;
      if (now && *now == then) continue;
      change.to = topo::Encode(then, stored->second);
    } else {
      change.to = topo::Encode(carrier.tablet);
    }
    changes.push_back(std::move(change));
  }
  return changes;
}

}  // namespace paceline::vtctld
