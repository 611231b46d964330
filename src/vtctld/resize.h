// vtctld/resize.h - which tablet's volume grows next. Pure. Threads: values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "record/record.h"

namespace paceline::vtctld {

struct ResizeSight {
  record::TabletAlias alias;
  bool leads = false;
  std::string trouble;  // why it cannot be told whether it is well; empty: it is
  uint64_t bytes = 0;   // of its volume, as the tablet sees it; 0: not known
  bool grown = false;   // by this run
};

// One at a time, those that lead last. Nothing: all have grown. Errors: kUnavailable for a tablet
// in trouble, kFailedPrecondition for one whose volume would shrink; then nothing may be begun.
Result<std::optional<record::TabletAlias>> NextToResize(const std::vector<ResizeSight>& sights,
                                                        uint64_t bytes);
// A file system has a little less than its volume.
bool SeesSize(uint64_t seen, uint64_t bytes);

}  // namespace paceline::vtctld
