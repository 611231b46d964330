#include "backup/catalog.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/strings.h"
#include "base/time_text.h"
#include "mysqld/folder.h"

namespace paceline::backup {
namespace {

constexpr const char* kManifest = "MANIFEST";
constexpr const char* kGood = "VALID";
constexpr const char* kBad = "INVALID";
constexpr int kFormat = 1;

}  // namespace

std::string ToJson(const Manifest& manifest) {
  nlohmann::ordered_json json = {{"Format", kFormat},
                                 {"BackupMethod", manifest.engine},
                                 {"Position", manifest.position},
                                 {"BackupTime", Rfc3339(manifest.began)},
                                 {"FinishedTime", Rfc3339(manifest.finished)},
                                 {"BackupTimeNs", manifest.began.unix_ns},
                                 {"FinishedTimeNs", manifest.finished.unix_ns},
                                 {"Keyspace", manifest.keyspace},
                                 {"Shard", manifest.shard},
                                 {"TabletAlias", manifest.alias},
                                 {"ServerVersion", manifest.server_version},
                                 {"Compression", manifest.compression},
                                 {"Salt", manifest.salt},
                                 {"Objects", nlohmann::ordered_json::array()}};
  for (const StoredObject& object : manifest.objects) {
    json["Objects"].push_back({{"Name", object.name},
                               {"RawBytes", object.raw_bytes},
                               {"StoredBytes", object.stored_bytes},
                               {"Frames", object.frames},
                               {"SHA256", object.sha256}});
  }
  json["Tables"] = nlohmann::ordered_json::array();
  for (const TableRows& table : manifest.tables) {
    nlohmann::ordered_json one = {{"Schema", table.schema}, {"Name", table.table}};
    if (table.rows) one["Rows"] = *table.rows;
    json["Tables"].push_back(std::move(one));
  }
  return json.dump(2) + "\n";
}

Result<Manifest> ParseManifest(std::string_view text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Fail(Code::kDataLoss, "the manifest is damaged");
  Manifest manifest;
  try {
    if (json.at("Format") != kFormat) {
      return Fail(Code::kDataLoss, "the manifest has format {}, this version reads {}",
                  json.at("Format").dump(), kFormat);
    }
    manifest.engine = json.at("BackupMethod");
    manifest.position = json.at("Position");
    manifest.began.unix_ns = json.at("BackupTimeNs");
    manifest.finished.unix_ns = json.at("FinishedTimeNs");
    manifest.keyspace = json.at("Keyspace");
    manifest.shard = json.at("Shard");
    manifest.alias = json.at("TabletAlias");
    manifest.server_version = json.at("ServerVersion");
    manifest.compression = json.at("Compression");
    manifest.salt = json.at("Salt");
    for (const auto& one : json.at("Objects")) {
      StoredObject object;
      object.name = one.at("Name");
      object.raw_bytes = one.at("RawBytes");
      object.stored_bytes = one.at("StoredBytes");
      object.frames = one.at("Frames");
      object.sha256 = one.at("SHA256");
      manifest.objects.push_back(std::move(object));
    }
    // Absent in those of older versions.
    for (const auto& one : json.value("Tables", nlohmann::json::array())) {
      TableRows table{one.at("Schema"), one.at("Name"), std::nullopt};
      if (one.contains("Rows")) table.rows = one.at("Rows").get<uint64_t>();
      manifest.tables.push_back(std::move(table));
    }
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kDataLoss, "the manifest is damaged: {}", error.what());
  }
  return manifest;
}

std::string ToJson(const Verdict& verdict) {
  nlohmann::ordered_json json = {{"Good", verdict.good},
                                 {"Time", Rfc3339(verdict.at)},
                                 {"TimeNs", verdict.at.unix_ns},
                                 {"Text", verdict.text}};
  return json.dump(2) + "\n";
}

Result<Verdict> ParseVerdict(std::string_view text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Fail(Code::kDataLoss, "the verdict is damaged");
  try {
    return Verdict{json.at("Good"), WallTime{json.at("TimeNs")}, json.at("Text")};
  } catch (const nlohmann::json::exception& error) {
    return Fail(Code::kDataLoss, "the verdict is damaged: {}", error.what());
  }
}

std::string FormatBackupName(const BackupName& name) {
  std::string time = Rfc3339(name.time);
  return fmt::format("{}.{}{}{}.{}", time.substr(0, 10), time.substr(11, 2), time.substr(14, 2),
                     time.substr(17, 2), name.alias.ToString());
}

std::optional<BackupName> ParseBackupName(std::string_view text) {
  std::vector<std::string_view> parts = Split(text, '.');
  if (parts.size() < 3 || parts[0].size() != 10 || parts[1].size() != 6) return std::nullopt;
  auto number = [](std::string_view digits) -> int {
    return static_cast<int>(ParseUint(digits).value_or(10000));
  };
  tm time{};
  time.tm_year = number(parts[0].substr(0, 4)) - 1900;
  time.tm_mon = number(parts[0].substr(5, 2)) - 1;
  time.tm_mday = number(parts[0].substr(8, 2));
  time.tm_hour = number(parts[1].substr(0, 2));
  time.tm_min = number(parts[1].substr(2, 2));
  time.tm_sec = number(parts[1].substr(4, 2));
  BackupName name;
  name.time.unix_ns = static_cast<int64_t>(timegm(&time)) * 1'000'000'000;
  // A cell's name may hold dots.
  Result<record::TabletAlias> alias = record::ParseTabletAlias(text.substr(18));
  if (!alias) return std::nullopt;
  name.alias = *alias;
  if (FormatBackupName(name) != text) return std::nullopt;
  return name;
}

Result<Catalog> Catalog::Of(std::shared_ptr<Storage> storage, const std::string& keyspace,
                            const std::string& shard) {
  RETURN_IF_ERROR(CheckPathPart("keyspace", keyspace));
  RETURN_IF_ERROR(CheckPathPart("shard", shard));
  return Catalog(std::move(storage), keyspace + "/" + shard);
}

Result<std::vector<BackupEntry>> Catalog::List() const {
  ASSIGN_OR_RETURN(std::vector<std::string> names, storage_->List(folder_));
  std::vector<BackupEntry> entries;
  for (std::string& name : names) {
    std::optional<BackupName> parsed = ParseBackupName(name);
    if (!parsed) continue;  // somebody else's
    ASSIGN_OR_RETURN(std::vector<std::string> objects, storage_->List(Folder(name)));
    auto has = [&](const char* object) {
      return std::ranges::find(objects, object) != objects.end();
    };
    Verified verified = has(kBad) ? Verified::kBad : has(kGood) ? Verified::kGood : Verified::kNot;
    entries.push_back({std::move(name), *parsed, has(kManifest), verified});
  }
  return entries;
}

Result<Manifest> Catalog::Read(const std::string& name) const {
  RETURN_IF_ERROR(CheckPathPart("backup", name));
  Result<std::string> text = storage_->Get(Folder(name) + "/" + kManifest);
  if (!text && text.error().code() == Code::kNotFound) {
    return Fail(Code::kNotFound, "there is no backup {} of {} in {}", name, folder_,
                storage_->Describe());
  }
  if (!text) return Fail(text.error());
  Result<Manifest> manifest = ParseManifest(*text);
  if (!manifest) return Fail(manifest.error().Context("backup " + name));
  return manifest;
}

Status Catalog::Write(const std::string& name, const Manifest& manifest) const {
  return storage_->Put(Folder(name) + "/" + kManifest, ToJson(manifest));
}

Result<Verdict> Catalog::ReadVerdict(const BackupEntry& entry) const {
  if (entry.verified == Verified::kNot)
    return Fail(Code::kNotFound, "backup {} was not verified", entry.name);
  const char* object = entry.verified == Verified::kGood ? kGood : kBad;
  ASSIGN_OR_RETURN(std::string text, storage_->Get(Folder(entry.name) + "/" + object));
  Result<Verdict> verdict = ParseVerdict(text);
  if (!verdict) return Fail(verdict.error().Context("backup " + entry.name));
  return verdict;
}

Status Catalog::WriteVerdict(const std::string& name, const Verdict& verdict) const {
  // What may be wrong goes before what takes it back, so that no bad one ever passes for good.
  const std::string folder = Folder(name) + "/";
  if (verdict.good) {
    RETURN_IF_ERROR(storage_->Put(folder + kGood, ToJson(verdict)));
    RETURN_IF_ERROR(storage_->RemoveAll(folder + kBad));
  } else {
    RETURN_IF_ERROR(storage_->Put(folder + kBad, ToJson(verdict)));
    RETURN_IF_ERROR(storage_->RemoveAll(folder + kGood));
  }
  Result<Manifest> still = Read(name);
  if (still || still.error().code() != Code::kNotFound) return {};
  RETURN_IF_ERROR(storage_->RemoveAll(Folder(name)));
  return Fail(still.error());
}

Status Catalog::Remove(const std::string& name) const {
  RETURN_IF_ERROR(CheckPathPart("backup", name));
  ASSIGN_OR_RETURN(std::vector<std::string> objects, storage_->List(Folder(name)));
  if (objects.empty()) {
    return Fail(Code::kNotFound, "there is no backup {} of {} in {}", name, folder_,
                storage_->Describe());
  }
  RETURN_IF_ERROR(storage_->RemoveAll(Folder(name) + "/" + kManifest));
  return storage_->RemoveAll(Folder(name));
}

Result<std::vector<std::string>> Catalog::Sweep(const record::TabletAlias& mine,
                                                WallTime old) const {
  ASSIGN_OR_RETURN(std::vector<BackupEntry> entries, List());
  std::vector<std::string> swept;
  for (const BackupEntry& entry : entries) {
    bool dead = entry.parsed.alias == mine || entry.parsed.time < old;
    if (entry.complete || !dead) continue;
    RETURN_IF_ERROR(storage_->RemoveAll(Folder(entry.name)));
    swept.push_back(entry.name);
  }
  return swept;
}

Result<std::string> ReadSecret(const std::string& file) {
  std::string text = mysqld::ReadFileFrom(file, 0, 64 << 10);
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  if (text.size() < 16) {
    return Fail(Code::kInvalidArgument,
                "the key file {} cannot be read, or holds less than 16 bytes", file);
  }
  return text;
}

}  // namespace paceline::backup
