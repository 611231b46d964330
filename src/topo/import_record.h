// topo/import_record.h - that a shard is being imported from a foreign server: one file of the
// global store for each, beside the shard's record. It is there from `Import create` until
// `complete` or `cancel`. What bars elections are the tablets (port: TabletState.importing); this
// tells which tablets, and every command where the course stands. Threads: the Server's loop.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "record/record.h"
#include "topo/server.h"

namespace paceline::topo {

struct ImportRecord {
  enum class Phase : uint8_t {
    kImporting,  // the tablet copies the source, or replicates from it
    kSwitching,  // `switch` began: the tablet may lead
    kSwitched,   // it leads; the source replicates from it
    kReturning,  // `back` began: the source may be open for writes
    kCanceling,  // the tablets' data may be gone
  };
  Phase phase = Phase::kImporting;
  std::string id;              // of this import, never used again
  record::TabletAlias tablet;  // who reads from the source
  std::string source;          // user@host:port
  std::string database;
  std::vector<std::string>
      accounts;  // that the copy made on the tablets, known once it is canceled
  friend bool operator==(const ImportRecord&, const ImportRecord&) = default;

  // Nobody may be elected.
  bool Bars() const { return phase != Phase::kSwitched; }
};
std::string_view PhaseName(ImportRecord::Phase phase);

// Errors: kDataLoss naming what cannot be read.
Result<ImportRecord> ParseImportRecord(std::string_view text);
std::string ImportRecordText(const ImportRecord& record);

// Empty: the shard is not being imported.
io::Task<Result<std::optional<ImportRecord>>> ReadImport(Server& topo, record::KeyspaceShard shard,
                                                         Deadline deadline);
// Creates or replaces it. REQUIRES: the caller holds LockImport.
io::Task<Status> WriteImport(Server& topo, record::KeyspaceShard shard, ImportRecord record,
                             Deadline deadline);
io::Task<Status> DeleteImport(Server& topo, record::KeyspaceShard shard, Deadline deadline);
// One command on a shard's import at a time. Release it.
io::Task<Result<LockPtr>> LockImport(Server& topo, record::KeyspaceShard shard, std::string action,
                                     Deadline deadline);

}  // namespace paceline::topo
