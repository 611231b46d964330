// local/snapshots.h - side keyspaces of a local cluster: each a past of its keyspace, in a tablet
// of its own. A file in the data directory lists them; the supervisor keeps what it lists.
#pragma once

#include <string>
#include <vector>

#include "local/layout.h"

namespace paceline::local {

struct Snapshot {
  std::string keyspace;
  std::string position, timestamp;  // --restore-to-pos, --restore-to-timestamp; one of them
};
// Empty where there is no such file.
std::vector<Snapshot> LoadSnapshots(const Layout& layout);
Status SaveSnapshots(const Layout& layout, const std::vector<Snapshot>& snapshots);

}  // namespace paceline::local
