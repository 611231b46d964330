// topo/refusals.h - the errors of the contract in conn.h, in the same words from every backend. For
// backends.
#pragma once

#include <string>
#include <string_view>

#include "topo/conn.h"
#include "topo/lock_text.h"

namespace paceline::topo {

inline auto Absent(std::string_view path) {
  return Fail(Code::kNotFound, "{} is not in the topology", path);
}
inline auto AbsentDir(std::string_view dir) {
  return Fail(Code::kNotFound, "directory {} is not in the topology", dir);
}
inline auto Exists(std::string_view path) {
  return Fail(Code::kAlreadyExists, "{} exists in the topology", path);
}
inline auto Moved(std::string_view path, Version expected) {
  return Fail(Code::kFailedPrecondition, "{} was changed by another since version {}", path,
              expected.number);
}
inline auto NothingToLock(std::string_view dir) {
  return Fail(Code::kNotFound, "cannot lock {}: it is not in the topology", dir);
}
// kAlreadyExists or kDeadlineExceeded; `contents`: those of the lock that is held.
inline auto LockHeld(Code code, std::string_view dir, std::string_view contents) {
  return Fail(code, "the lock on {} is held: {}", dir, DescribeLock(contents));
}

}  // namespace paceline::topo
