#include "vtctld/resize.h"

#include "base/quantity.h"

namespace paceline::vtctld {

bool SeesSize(uint64_t seen, uint64_t bytes) {
  return static_cast<double>(seen) >= 0.9 * static_cast<double>(bytes);
}

Result<std::optional<record::TabletAlias>> NextToResize(const std::vector<ResizeSight>& sights,
                                                        uint64_t bytes) {
  const ResizeSight* next = nullptr;
  for (const ResizeSight& sight : sights) {
    const std::string name = sight.alias.ToString();
    if (!sight.trouble.empty()) {
      return Fail(Code::kUnavailable,
                  "{}: {}; no volume is grown while a tablet of the shard is not well", name,
                  sight.trouble);
    }
    if (sight.bytes == 0) {
      return Fail(Code::kUnavailable, "{} does not know how large its volume is", name);
    }
    if (sight.bytes > bytes) {
      return Fail(Code::kFailedPrecondition,
                  "the volume of {} has {} already, and volumes only grow: ask for more than {}",
                  name, BytesText(static_cast<double>(sight.bytes)), FormatBytes(bytes));
    }
    if (sight.grown) continue;
    const bool before = next == nullptr || (next->leads && !sight.leads) ||
                        (next->leads == sight.leads && sight.alias < next->alias);
    if (before) next = &sight;
  }
  if (next == nullptr) return std::optional<record::TabletAlias>();
  return std::optional(next->alias);
}

}  // namespace paceline::vtctld
