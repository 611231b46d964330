// port/backup_event.h - what a running backup or restore says, line by line.
#pragma once

#include <optional>
#include <string>

#include "base/error.h"
#include "io/task.h"
#include "port/progress.h"
#include "record/record.h"

namespace paceline::port {

struct BackupEvent {
  record::TabletAlias tablet;
  std::string keyspace, shard;
  std::string text;
  std::optional<TransferProgress> progress;  // where the text tells of one
};
class BackupEvents {
 public:
  virtual ~BackupEvents() = default;
  // Errors: nobody listens any more; what runs is given up.
  virtual io::Task<Status> Event(const BackupEvent& event) = 0;
};

}  // namespace paceline::port
