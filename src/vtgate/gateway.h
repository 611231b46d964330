// vtgate/gateway.h - how a session finds a tablet. One Gateway per loop; the real one stands on the
// health room (vtgate/health_gateway.h), tests give their own. Threads: its loop.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"
#include "port/query_service.h"
#include "record/record.h"

namespace paceline::vtgate {

struct Chosen {
  port::QueryServicePtr service;
  record::TabletAlias alias;
};

// A line of SHOW VITESS_TABLETS.
struct TabletLine {
  record::Tablet tablet;
  record::TabletType type = record::TabletType::kUnknown;  // as its health says
  bool serving = false;
  Duration lag{0};
  WallTime primary_term_start;
  std::string error;
};

class Gateway {
 public:
  virtual ~Gateway() = default;
  // A serving tablet for the target; `prefer` is taken when it still fits (a session's last one).
  // For a primary that is away it waits until there is one again or the deadline passes. Errors:
  // kUnavailable, "no healthy tablet ..." as Vitess words it; kDeadlineExceeded.
  virtual io::Task<Result<Chosen>> Choose(record::Target target, Deadline deadline) = 0;
  // The tablet that a pinned connection lives on, while it is known at all.
  virtual Result<Chosen> Find(const record::TabletAlias& alias) = 0;
  virtual std::vector<TabletLine> Tablets() const = 0;
};

}  // namespace paceline::vtgate
