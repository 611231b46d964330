// backup/storage.h - where backups are kept: objects under paths,
// "<keyspace>/<shard>/<backup>/<object>". Storages: file, s3, gcs. Every one passes conformance.h.
// Threads: calls block; different threads may use one storage at once, one writer or reader belongs
// to one thread at a time. Errors of all: kUnavailable and kDeadlineExceeded may pass;
// kPermissionDenied, kUnauthenticated credentials; kNotFound the object, or the place where all are
// kept; kResourceExhausted no room. Each names the object.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace paceline::backup {

class ObjectWriter {
 public:
  // Not committed: nothing of it is ever seen under its path.
  virtual ~ObjectWriter() = default;
  virtual Status Append(std::string_view bytes) = 0;
  // Durable, and only now there.
  virtual Status Commit() = 0;
};

class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  // At least one byte; 0 at the end.
  virtual Result<size_t> Read(char* buffer, size_t size) = 0;
};

class Storage {
 public:
  virtual ~Storage() = default;
  // "file /backups", for messages.
  virtual std::string Describe() const = 0;
  // An object of that path that is there already is replaced at Commit.
  virtual Result<std::unique_ptr<ObjectWriter>> Create(const std::string& path) = 0;
  // Errors: kNotFound.
  virtual Result<std::unique_ptr<ObjectReader>> Open(const std::string& path) = 0;
  // The next parts of the paths that begin with `folder` and a slash, sorted, each once; empty
  // where there are none.
  virtual Result<std::vector<std::string>> List(const std::string& folder) = 0;
  // The object of that path and all below it. No error where there are none.
  virtual Status RemoveAll(const std::string& folder) = 0;

  // Small objects, whole.
  Status Put(const std::string& path, std::string_view bytes);
  Result<std::string> Get(const std::string& path, size_t bytes_max = 16u << 20);
};

struct StorageOptions {
  std::string kind;       // "file", "s3", "gcs"; empty: there is none
  std::string file_root;  // file: a folder; s3, gcs: an address, see storage_s3.h, storage_gcs.h
  friend bool operator==(const StorageOptions&, const StorageOptions&) = default;
};
// Errors: kInvalidArgument naming the flag; kFailedPrecondition when no storage is set.
Result<std::unique_ptr<Storage>> OpenStorage(const StorageOptions& options);

// One part of a path: not empty, no slash, no "..", nothing that a file system or a URL would read
// otherwise. Errors: kInvalidArgument.
Status CheckPathPart(std::string_view what, std::string_view part);
// A whole path: such parts with slashes between them.
Status CheckPath(const std::string& path);

}  // namespace paceline::backup
