// backup/catalog.h - the backups of a shard: "<keyspace>/<shard>/<name>/", where the name is
// Vitess's, "2026-11-27.191500.zone1-0000000101", and the object MANIFEST, written last, makes it
// one. An object VALID or INVALID beside it says what a verification found. Threads: as storage.h.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "backup/stored_stream.h"
#include "backup/table_check.h"
#include "base/time.h"
#include "gtid/set.h"
#include "record/record.h"

namespace paceline::backup {

struct Manifest {
  std::string engine;    // "clone", "mariabackup", "builtin", "logical"
  std::string position;  // Vitess's encoding
  std::string keyspace, shard, alias;
  std::string server_version;  // as the server wrote it: "9.7.4", "10.11.19-MariaDB"
  WallTime began, finished;
  std::string compression;
  std::string salt;  // hexadecimal; empty: not encrypted
  std::vector<StoredObject> objects;
  // What it holds, at its position; empty: nobody counted.
  std::vector<TableRows> tables;
  friend bool operator==(const Manifest&, const Manifest&) = default;
};
std::string ToJson(const Manifest& manifest);
// Errors: kDataLoss: damaged, or of a later version.
Result<Manifest> ParseManifest(std::string_view text);

struct BackupName {
  WallTime time;  // whole seconds
  record::TabletAlias alias;
};
std::string FormatBackupName(const BackupName& name);
std::optional<BackupName> ParseBackupName(std::string_view text);

// What the last verification found.
struct Verdict {
  bool good = false;
  WallTime at;
  std::string text;  // what was checked, or what is wrong
  friend bool operator==(const Verdict&, const Verdict&) = default;
};
std::string ToJson(const Verdict& verdict);
Result<Verdict> ParseVerdict(std::string_view text);

enum class Verified : uint8_t { kNot, kGood, kBad };
struct BackupEntry {
  std::string name;
  BackupName parsed;
  bool complete = false;  // its manifest is there
  Verified verified = Verified::kNot;
  // To be restored, or to count as a backup.
  bool usable() const { return complete && verified != Verified::kBad; }
};

class Catalog {
 public:
  // Errors: kInvalidArgument for names that are no part of a path.
  static Result<Catalog> Of(std::shared_ptr<Storage> storage, const std::string& keyspace,
                            const std::string& shard);
  std::string Folder(const std::string& name) const { return folder_ + "/" + name; }
  // Oldest first.
  Result<std::vector<BackupEntry>> List() const;
  // Errors: kNotFound naming the backup; kDataLoss.
  Result<Manifest> Read(const std::string& name) const;
  // Commits a backup.
  Status Write(const std::string& name, const Manifest& manifest) const;
  // Errors: kNotFound: there is none.
  Result<Verdict> ReadVerdict(const BackupEntry& entry) const;
  // Errors: kNotFound: the backup was removed meanwhile.
  Status WriteVerdict(const std::string& name, const Verdict& verdict) const;
  // The manifest goes first, so that a removal that is cut short leaves no backup behind. Errors:
  // kNotFound.
  Status Remove(const std::string& name) const;
  // What interrupted backups left: of this tablet, which runs one at a time, and of anybody's from
  // before `old`. Returns their names.
  Result<std::vector<std::string>> Sweep(const record::TabletAlias& mine, WallTime old) const;
  const std::shared_ptr<Storage>& storage() const { return storage_; }

 private:
  Catalog(std::shared_ptr<Storage> storage, std::string folder)
      : storage_(std::move(storage)), folder_(std::move(folder)) {}
  std::shared_ptr<Storage> storage_;
  std::string folder_;
};

// The secret in a file, of 16 bytes at least; white space at its end does not count. Errors:
// kInvalidArgument naming the file.
Result<std::string> ReadSecret(const std::string& file);

}  // namespace paceline::backup
