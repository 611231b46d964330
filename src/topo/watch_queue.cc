#include "topo/watch_queue.h"

#include <utility>

namespace paceline::topo {

void WatchQueue::Push(WatchEvent event) {
  Path key = event.kind == WatchEvent::Kind::kSynced ? Path() : event.file.path;
  auto [place, fresh] = pending_.insert_or_assign(key, std::move(event));
  if (fresh) order_.push_back(place->first);
  news_.Set();
}

void WatchQueue::Value(File file) {
  auto [known, fresh] = known_.try_emplace(file.path, file.version);
  if (!fresh && known->second == file.version) return;
  known->second = file.version;
  Push({WatchEvent::Kind::kValue, std::move(file)});
}

void WatchQueue::Deleted(const Path& path) {
  if (known_.erase(path) == 0) return;
  Absent(path);
}

void WatchQueue::Absent(const Path& path) {
  Push({WatchEvent::Kind::kDeleted, File{path, "", Version{}}});
}

void WatchQueue::Replace(std::vector<File> files, bool other_store) {
  if (other_store) {  // the old one's versions say nothing here, nor of what is still to come
    for (auto& [path, version] : known_) version = Version{-1};
  }
  std::map<Path, Version> before = known_;
  for (File& file : files) {
    before.erase(file.path);
    Value(std::move(file));
  }
  if (other_store) return;
  for (const auto& [path, version] : before) Deleted(path);
}

void WatchQueue::Synced() { Push({WatchEvent::Kind::kSynced, {}}); }

void WatchQueue::Fail(Error error) {
  failed_ = std::move(error);
  news_.Set();
}

void WatchQueue::Close() {
  closed_ = true;
  news_.Set();
}

io::Task<Result<WatchEvent>> WatchQueue::Next(Deadline deadline) {
  for (;;) {
    if (closed_) co_return paceline::Fail(Code::kCanceled, "the watch was closed");
    if (!order_.empty()) {
      auto found = pending_.find(order_.front());
      WatchEvent event = std::move(found->second);
      pending_.erase(found);
      order_.pop_front();
      co_return event;
    }
    if (failed_) co_return paceline::Fail(*failed_);
    news_.Reset();
    bool woken = co_await news_.Wait(deadline);
    if (!woken) co_return paceline::Fail(Code::kDeadlineExceeded, "nothing changed so far");
  }
}

}  // namespace paceline::topo
