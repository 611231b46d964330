// vttablet/query/attempts.h - how writes in flight are asked about, between the query loops and the
// manager, which knows the logs.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "io/task.h"
#include "port/query_service.h"

namespace paceline::vttablet {

// What the query side knows of attempts that somebody asks about.
struct AttemptsSight {
  std::vector<bool> runs;  // in the order asked: a statement or a transaction of it is under way
  std::vector<uint32_t>
      left;  // mysqld's connections that were given up and may still run something
};

// Answers port::QueryService::Resolve; called on the manager's loop.
using Resolve = std::function<io::Task<Result<std::vector<port::AttemptOutcome>>>(
    std::vector<port::AttemptQuestion>, Deadline)>;

}  // namespace paceline::vttablet
