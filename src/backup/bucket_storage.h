// backup/bucket_storage.h - what storages have in common that keep objects under flat keys in a
// bucket: paths are keys below a prefix, folders are what keys have before a slash. Threads: as
// storage.h.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "backup/storage.h"

namespace paceline::backup {

class BucketStorage : public Storage {
 public:
  Result<std::unique_ptr<ObjectWriter>> Create(const std::string& path) final;
  Result<std::unique_ptr<ObjectReader>> Open(const std::string& path) final;
  Result<std::vector<std::string>> List(const std::string& folder) final;
  Status RemoveAll(const std::string& folder) final;

 protected:
  // The bucket's key of a path.
  virtual std::string Key(const std::string& path) const = 0;
  virtual std::unique_ptr<ObjectWriter> Writer(const std::string& key) = 0;
  // Errors: kNotFound now, not at the first Read.
  virtual Result<std::unique_ptr<ObjectReader>> Reader(const std::string& key) = 0;
  // Every key that begins with `prefix`; with `one_level` those below a further slash come once, as
  // their beginning up to that slash.
  virtual Status Walk(const std::string& prefix, bool one_level,
                      const std::function<void(const std::string&)>& each) = 0;
  // Errors: kNotFound may be told or not.
  virtual Status Remove(const std::string& key) = 0;
};

}  // namespace paceline::backup
