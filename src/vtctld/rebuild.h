// vtctld/rebuild.h - what a topology must be told so that it says again what the tablets carry.
// Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "record/record.h"
#include "topo/carried.h"

namespace paceline::vtctld {

// One tablet: its own record, as it tells it, and the copy of the global topology that it carries.
struct Carrier {
  record::Tablet tablet;
  std::vector<topo::CarriedFile> files;
};

struct RebuildChange {
  std::string cell, path;           // cell "global" or the tablet's
  std::optional<std::string> from;  // as stored now; empty: not there
  std::string to;
  std::string source;  // whose word it is
};

// `current`: by "<cell>/<path>", the global records and the tablets' as stored. Of a global record
// the newest copy counts: the highest version of one store, between stores the one received last. A
// shard's primary is the tablet that leads the latest term, where the record knows no later one.
// What no tablet carries is left alone. Sorted: global first.
std::vector<RebuildChange> PlanRebuild(const std::vector<Carrier>& carriers,
                                       const std::map<std::string, std::string>& current);

}  // namespace paceline::vtctld
