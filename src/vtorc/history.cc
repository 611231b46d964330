#include "vtorc/history.h"

#include <sqlite3.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "io/blocking.h"

namespace paceline::vtorc {
namespace {

int64_t Ms(WallTime time) { return time.unix_ns / 1'000'000; }

nlohmann::json AsJson(const Recovery& recovery) {
  nlohmann::json stages = nlohmann::json::array();
  for (const Stage& stage : recovery.stages) {
    stages.push_back({{"unix_ms", Ms(stage.at)},
                      {"after_ms", Ms(stage.at) - Ms(recovery.began)},
                      {"stage", stage.name},
                      {"text", stage.text}});
  }
  return {{"id", recovery.id},
          {"shard", recovery.shard},
          {"analysis", recovery.analysis},
          {"remedy", recovery.remedy},
          {"tablet", recovery.tablet},
          {"successor", recovery.successor},
          {"error", recovery.error},
          {"began_unix_ms", Ms(recovery.began)},
          {"ended_unix_ms", Ms(recovery.ended)},
          {"stages", stages}};
}

Recovery FromJson(const nlohmann::json& json) {
  Recovery recovery;
  recovery.id = json.value("id", int64_t{0});
  recovery.shard = json.value("shard", "");
  recovery.analysis = json.value("analysis", "");
  recovery.remedy = json.value("remedy", "");
  recovery.tablet = json.value("tablet", "");
  recovery.successor = json.value("successor", "");
  recovery.error = json.value("error", "");
  recovery.began.unix_ns = json.value("began_unix_ms", int64_t{0}) * 1'000'000;
  recovery.ended.unix_ns = json.value("ended_unix_ms", int64_t{0}) * 1'000'000;
  for (const nlohmann::json& stage : json.value("stages", nlohmann::json::array())) {
    recovery.stages.push_back({{stage.value("unix_ms", int64_t{0}) * 1'000'000},
                               stage.value("stage", ""),
                               stage.value("text", "")});
  }
  return recovery;
}

}  // namespace

struct History::File {
  sqlite3* db = nullptr;
  io::Worker worker{"vtorc-history"};

  ~File() {
    // After the last write, which the worker still has.
    worker.Post([db = db] { sqlite3_close(db); });
  }
  Status Run(const std::string& sql) {
    char* message = nullptr;
    if (sqlite3_exec(db, sql.c_str(), nullptr, nullptr, &message) == SQLITE_OK) return {};
    Status failed = Fail(Code::kInternal, "vtorc's history: {}", message ? message : "failed");
    sqlite3_free(message);
    return failed;
  }
};

History::History() = default;
History::~History() = default;

Status History::Open(const std::string& name) {
  auto file = std::make_unique<File>();
  if (sqlite3_open(name.c_str(), &file->db) != SQLITE_OK) {
    return Fail(Code::kUnavailable, "vtorc's history {}: {}", name, sqlite3_errmsg(file->db));
  }
  sqlite3_busy_timeout(file->db, 2'000);
  RETURN_IF_ERROR(file->Run("PRAGMA journal_mode=WAL"));
  RETURN_IF_ERROR(file->Run(
      "CREATE TABLE IF NOT EXISTS recoveries (id INTEGER PRIMARY KEY, json TEXT NOT NULL)"));
  sqlite3_stmt* read = nullptr;
  const char* newest = "SELECT json FROM recoveries ORDER BY id DESC LIMIT ?";
  if (sqlite3_prepare_v2(file->db, newest, -1, &read, nullptr) != SQLITE_OK) {
    return Fail(Code::kInternal, "vtorc's history {}: {}", name, sqlite3_errmsg(file->db));
  }
  sqlite3_bind_int64(read, 1, static_cast<int64_t>(kKept));
  while (sqlite3_step(read) == SQLITE_ROW) {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(read, 0));
    nlohmann::json json = nlohmann::json::parse(text == nullptr ? "" : text, nullptr, false);
    if (json.is_object()) list_.push_front(FromJson(json));
  }
  sqlite3_finalize(read);
  for (Recovery& recovery : list_) {
    next_ = std::max(next_, recovery.id + 1);
    if (recovery.ended.unix_ns == 0) recovery.error = "vtorc ended meanwhile";
  }
  file_ = std::move(file);
  return {};
}

Recovery& History::Begin(WallTime now) {
  Recovery recovery;
  recovery.id = next_++;
  recovery.began = now;
  list_.push_back(std::move(recovery));
  if (list_.size() > kKept) list_.pop_front();
  return list_.back();
}

Recovery* History::Find(int64_t id) {
  auto found = std::ranges::find(list_, id, &Recovery::id);
  return found == list_.end() ? nullptr : &*found;
}

void History::Store(const Recovery& recovery) {
  if (file_ == nullptr) return;
  file_->worker.Post([db = file_->db, id = recovery.id, json = AsJson(recovery).dump()] {
    sqlite3_stmt* write = nullptr;
    const char* put = "INSERT OR REPLACE INTO recoveries (id, json) VALUES (?, ?)";
    bool ok = sqlite3_prepare_v2(db, put, -1, &write, nullptr) == SQLITE_OK;
    if (ok) {
      sqlite3_bind_int64(write, 1, id);
      sqlite3_bind_text(write, 2, json.data(), static_cast<int>(json.size()), SQLITE_TRANSIENT);
      ok = sqlite3_step(write) == SQLITE_DONE;
    }
    sqlite3_finalize(write);
    std::string prune = fmt::format("DELETE FROM recoveries WHERE id <= {}", id - kStored);
    ok = ok && sqlite3_exec(db, prune.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK;
    if (!ok) LOG_WARNING("vtorc's history could not be written: {}", sqlite3_errmsg(db));
  });
}

std::string ToJson(const Recovery& recovery) { return AsJson(recovery).dump(); }

}  // namespace paceline::vtorc
