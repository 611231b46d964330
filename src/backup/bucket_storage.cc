#include "backup/bucket_storage.h"

#include <algorithm>

namespace paceline::backup {

Result<std::unique_ptr<ObjectWriter>> BucketStorage::Create(const std::string& path) {
  RETURN_IF_ERROR(CheckPath(path));
  return Writer(Key(path));
}

Result<std::unique_ptr<ObjectReader>> BucketStorage::Open(const std::string& path) {
  RETURN_IF_ERROR(CheckPath(path));
  return Reader(Key(path));
}

Result<std::vector<std::string>> BucketStorage::List(const std::string& folder) {
  RETURN_IF_ERROR(CheckPath(folder));
  std::string prefix = Key(folder) + "/";
  std::vector<std::string> names;
  RETURN_IF_ERROR(Walk(prefix, true, [&](const std::string& key) {
    std::string name = key.substr(std::min(prefix.size(), key.size()));
    while (name.ends_with('/')) name.pop_back();
    if (!name.empty()) names.push_back(std::move(name));
  }));
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Status BucketStorage::RemoveAll(const std::string& folder) {
  RETURN_IF_ERROR(CheckPath(folder));
  std::vector<std::string> keys = {Key(folder)};
  RETURN_IF_ERROR(Walk(keys[0] + "/", false, [&](const std::string& key) { keys.push_back(key); }));
  for (const std::string& key : keys) {
    Status removed = Remove(key);
    if (!removed && removed.error().code() != Code::kNotFound) return removed;
  }
  return {};
}

}  // namespace paceline::backup
