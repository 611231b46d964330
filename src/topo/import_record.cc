#include "topo/import_record.h"

#include <map>

#include "base/strings.h"

namespace paceline::topo {
namespace {

using Phase = ImportRecord::Phase;

Path PathOf(const record::KeyspaceShard& shard) {
  return "paceline/imports/" + shard.keyspace + "/" + shard.shard;
}

}  // namespace

std::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kImporting:
      return "importing";
    case Phase::kSwitching:
      return "switching";
    case Phase::kSwitched:
      return "switched";
    case Phase::kReturning:
      return "returning";
    case Phase::kCanceling:
      return "canceling";
  }
  return "";
}

std::string ImportRecordText(const ImportRecord& record) {
  std::string text =
      fmt::format("phase {}\nid {}\ntablet {}\nsource {}\ndatabase {}\n", PhaseName(record.phase),
                  record.id, record.tablet.ToString(), record.source, record.database);
  for (const std::string& account : record.accounts)
    text += "account " + ReplaceAll(account, "\n", " ") + "\n";
  return text;
}

Result<ImportRecord> ParseImportRecord(std::string_view text) {
  ImportRecord record;
  std::map<std::string, std::string, std::less<>> values;
  for (std::string_view line : Split(text, '\n')) {
    size_t space = line.find(' ');
    if (space == std::string_view::npos) continue;
    std::string value(line.substr(space + 1));
    if (line.substr(0, space) == "account") {
      record.accounts.push_back(std::move(value));
    } else {
      values[std::string(line.substr(0, space))] = std::move(value);
    }
  }
  bool known = false;
  for (Phase phase : {Phase::kImporting, Phase::kSwitching, Phase::kSwitched, Phase::kReturning,
                      Phase::kCanceling}) {
    if (values["phase"] != PhaseName(phase)) continue;
    record.phase = phase;
    known = true;
  }
  Result<record::TabletAlias> tablet = record::ParseTabletAlias(values["tablet"]);
  if (!known || !tablet || values["id"].empty())
    return Fail(Code::kDataLoss, "the record of an import cannot be read: \"{}\"", text);
  record.id = values["id"];
  record.tablet = *tablet;
  record.source = values["source"];
  record.database = values["database"];
  return record;
}

io::Task<Result<std::optional<ImportRecord>>> ReadImport(Server& topo, record::KeyspaceShard shard,
                                                         Deadline deadline) {
  Result<File> file = co_await topo.global().Get(PathOf(shard), deadline);
  if (!file && file.error().code() == Code::kNotFound) co_return std::optional<ImportRecord>();
  if (!file) co_return Fail(file.error().Context("reading the import of " + shard.ToString()));
  Result<ImportRecord> record = ParseImportRecord(file->data);
  if (!record) co_return Fail(record.error().Context(shard.ToString()));
  co_return std::optional<ImportRecord>(*std::move(record));
}

io::Task<Status> WriteImport(Server& topo, record::KeyspaceShard shard, ImportRecord record,
                             Deadline deadline) {
  std::string text = ImportRecordText(record);
  Path path = PathOf(shard);
  Result<Version> written = co_await topo.global().Update(path, text, kAnyVersion, deadline);
  if (!written)
    co_return Fail(written.error().Context("recording the import of " + shard.ToString()));
  co_return Status();
}

io::Task<Status> DeleteImport(Server& topo, record::KeyspaceShard shard, Deadline deadline) {
  Status gone = co_await topo.global().Delete(PathOf(shard), kAnyVersion, deadline);
  if (!gone && gone.error().code() != Code::kNotFound)
    co_return Fail(
        gone.error().Context("removing the record of the import of " + shard.ToString()));
  co_return Status();
}

io::Task<Result<LockPtr>> LockImport(Server& topo, record::KeyspaceShard shard, std::string action,
                                     Deadline deadline) {
  std::string name = "import-" + shard.keyspace + "-" + shard.shard;
  Result<LockPtr> lock = co_await topo.LockName(std::move(name), std::move(action), deadline);
  if (!lock) {
    co_return Fail(
        lock.error().Context("waiting for an earlier Import command on " + shard.ToString()));
  }
  co_return std::move(*lock);
}

}  // namespace paceline::topo
