#include "etcdmember/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/log.h"
#include "base/rng.h"
#include "base/strings.h"
#include "etcdmember/seal.h"
#include "io/file.h"

namespace paceline::etcdmember {

namespace fs = std::filesystem;

namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return std::move(text).str();
}

std::vector<std::string> Names(const std::string& dir) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(dir, error))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace

Status Folder::Lock() {
  std::string path = data_dir_ + ".lock";
  std::error_code ignored;
  fs::create_directories(fs::path(path).parent_path(), ignored);
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);  // until the process ends
  if (fd < 0) return Fail(Code::kPermissionDenied, "cannot write {}: {}", path, strerror(errno));
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
  close(fd);
  return Fail(Code::kAlreadyExists, "another etcd-member runs with --data-dir {}", data_dir_);
}

bool Folder::HasData() const {
  for (const std::string& name : Names(data_dir_ + "/member/wal")) {
    if (name.ends_with(".wal")) return true;
  }
  return false;
}

Result<Note> Folder::Read() {
  nlohmann::json json =
      nlohmann::json::parse(ReadAll(data_dir_ + "/paceline-member.json"), nullptr, false);
  Note note;
  if (json.is_object()) {
    note.nonce = json.value("nonce", std::string());
    note.agreed = json.value("agreed", std::string());
    note.agreed_digest = json.value("agreed_digest", std::string());
    note.founded = json.value("founded", std::string());
    note.added_id = json.value("added_id", uint64_t{0});
    note.cluster_id = json.value("cluster_id", uint64_t{0});
    note.member_id = json.value("member_id", uint64_t{0});
    note.data_seen = json.value("data_seen", false);
  }
  if (!note.nonce.empty()) return note;
  note = Note();
  note.nonce = HexEncode(RandomBytes(12));
  RETURN_IF_ERROR(Write(note));
  return note;
}

Status Folder::Write(const Note& note) {
  nlohmann::json json = {{"nonce", note.nonce},
                         {"agreed", note.agreed},
                         {"agreed_digest", note.agreed_digest},
                         {"founded", note.founded},
                         {"added_id", note.added_id},
                         {"cluster_id", note.cluster_id},
                         {"member_id", note.member_id},
                         {"data_seen", note.data_seen}};
  std::error_code ignored;
  fs::create_directories(data_dir_, ignored);
  fs::permissions(data_dir_, fs::perms::owner_all, ignored);  // etcd wants no others in it
  return io::ReplaceFile(data_dir_ + "/paceline-member.json", json.dump(2) + "\n");
}

Status Folder::SetAside(WallTime now) {
  std::string aside = fmt::format("{}.aside-{}", data_dir_, now.unix_ns);
  if (rename(data_dir_.c_str(), aside.c_str()) != 0 && errno != ENOENT)
    return Fail(Code::kUnavailable, "cannot rename {}: {}", data_dir_, strerror(errno));
  LOG_WARNING("the data is set aside: {}", aside);
  fs::path where(data_dir_);
  std::vector<std::string> kept;
  for (const std::string& name : Names(where.parent_path().string())) {
    if (name.starts_with(where.filename().string() + ".aside-")) kept.push_back(name);
  }
  std::error_code ignored;
  for (size_t i = 0; i + 2 < kept.size(); ++i)
    fs::remove_all(where.parent_path() / kept[i], ignored);
  return {};
}

Status Folder::TakeOver(const std::string& made) {
  std::string from = made + "/member", to = data_dir_ + "/member";
  std::error_code error;
  fs::remove_all(to, error);  // without a log there is nothing in it
  fs::rename(from, to, error);
  if (error) return Fail(Code::kUnavailable, "cannot rename {}: {}", from, error.message());
  fs::remove_all(made, error);
  return {};
}

std::vector<std::pair<SnapshotId, std::string>> Snapshots::List() const {
  std::vector<std::pair<SnapshotId, std::string>> list;
  for (const std::string& name : Names(dir_)) {  // <taken>-<cluster>-<revision>-<digest>.db
    if (!name.ends_with(".db")) continue;
    std::string stem = name.substr(0, name.size() - 3);
    std::vector<std::string_view> parts = Split(stem, '-');
    if (parts.size() != 4 || parts[3].size() != 64) continue;
    SnapshotId id;
    id.taken_unix_ns = ParseInt(parts[0]).value_or(0);
    id.cluster_id = ParseUint(parts[1]).value_or(0);
    id.revision = ParseInt(parts[2]).value_or(0);
    id.digest = std::string(parts[3]);
    list.emplace_back(id, name);
  }
  std::sort(list.begin(), list.end(), [](const auto& a, const auto& b) {
    return a.first.taken_unix_ns < b.first.taken_unix_ns;
  });
  return list;
}

SnapshotId Snapshots::Newest() const {
  auto list = List();
  return list.empty() ? SnapshotId() : list.back().first;
}

std::string Snapshots::FileOf(const std::string& digest) const {
  for (const auto& [id, name] : List()) {
    if (id.digest == digest) return dir_ + "/" + name;
  }
  return "";
}

Result<std::string> Snapshots::Fresh() const {
  std::error_code error;
  fs::create_directories(dir_, error);
  if (error) return Fail(Code::kPermissionDenied, "cannot make {}: {}", dir_, error.message());
  for (const std::string& name : Names(dir_)) {
    if (name.ends_with(".part")) fs::remove(dir_ + "/" + name, error);  // of an earlier run
  }
  return fmt::format("{}/{}.part", dir_, NewUuid());
}

Result<std::string> Snapshots::Check(const std::string& file) {
  std::string text = ReadAll(file);
  if (text.size() > 32) {
    std::string_view all = text;
    std::string digest = Sha256(all.substr(0, all.size() - 32));
    if (digest == all.substr(all.size() - 32)) return HexEncode(digest);
  }
  return Fail(Code::kDataLoss, "{} is no whole snapshot of etcd", file);
}

Status Snapshots::Adopt(const std::string& fresh, const SnapshotId& id, size_t keep) {
  std::string path = fmt::format("{}/{}-{}-{}-{}.db", dir_, id.taken_unix_ns, id.cluster_id,
                                 id.revision, id.digest);
  int fd = open(fresh.c_str(), O_RDONLY | O_CLOEXEC);
  bool synced = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0) close(fd);
  if (!synced || rename(fresh.c_str(), path.c_str()) != 0)
    return Fail(Code::kUnavailable, "cannot write {}: {}", path, strerror(errno));
  auto list = List();
  std::error_code ignored;
  for (size_t i = 0; i + keep < list.size(); ++i) fs::remove(dir_ + "/" + list[i].second, ignored);
  return {};
}

}  // namespace paceline::etcdmember
