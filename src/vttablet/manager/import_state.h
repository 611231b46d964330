// vttablet/manager/import_state.h - what a tablet must remember of an import over a crash, and what
// it knows of it while it runs. The file holds the source's password: its folder is the tablet's
// alone. Threads: one loop; writes go to a blocking thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "io/sync.h"
#include "io/task.h"
#include "record/record.h"
#include "vttablet/manager/foreign_server.h"

namespace paceline::vttablet {

struct ImportState {
  enum class Step : uint8_t {
    kNone,         // no part in it but its bar
    kCopying,      // what is here is not whole
    kReplicating,  // from the source
    kSwitched,     // leads, or led; the source replicates from the shard
    kReturning,    // gives the lead back: the source may be open
  };
  std::string id;                // of the import; empty: there is none
  bool bar = false;              // nobody may be promoted here
  record::TabletAlias importer;  // which tablet of the shard reads from the source
  Step step = Step::kNone;
  ImportSource source;
  bool frozen = false;  // this tablet closed the source, or was about to
  bool events = false;  // the source's event scheduler ran before that
  int64_t write_stop_ms = 0;
  std::vector<std::string> accounts;  // that the copy made
};
std::string_view StepName(ImportState::Step step);

class ImportStateFile {
 public:
  explicit ImportStateFile(std::string folder) : folder_(std::move(folder)) {}
  // A missing file is the empty state. Errors: kDataLoss naming a damaged one.
  Result<ImportState> Load() const;
  // Durable when it returns; the state without an id removes the file.
  io::Task<Status> Save(ImportState state);

 private:
  std::string folder_;
  io::Mutex writing_;
};

struct Importing {
  explicit Importing(std::string folder) : file(std::move(folder)) {}
  ImportStateFile file;
  ImportState state;
  std::shared_ptr<ForeignServer> foreign;  // once it has answered
  std::string progress, error;             // of the copy
  bool copying = false;                    // the loop runs
  bool canceled = false;
  io::Event copy_ended;
  // A switch that is under way: the next promotion may freeze the source for so long.
  Time armed_until{};
  Duration write_stop_max{0};
  std::string switch_failed;  // why, for the coordinator's next try
  Time frozen_at{};
};

}  // namespace paceline::vttablet
