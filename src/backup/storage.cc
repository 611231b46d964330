#include "backup/storage.h"

#include "backup/storage_file.h"
#include "backup/storage_gcs.h"
#include "backup/storage_s3.h"
#include "base/strings.h"

namespace paceline::backup {

Status Storage::Put(const std::string& path, std::string_view bytes) {
  ASSIGN_OR_RETURN(std::unique_ptr<ObjectWriter> writer, Create(path));
  RETURN_IF_ERROR(writer->Append(bytes));
  return writer->Commit();
}

Result<std::string> Storage::Get(const std::string& path, size_t bytes_max) {
  ASSIGN_OR_RETURN(std::unique_ptr<ObjectReader> reader, Open(path));
  std::string text;
  char buffer[16 << 10];
  for (;;) {
    ASSIGN_OR_RETURN(size_t got, reader->Read(buffer, sizeof buffer));
    if (got == 0) return text;
    text.append(buffer, got);
    if (text.size() > bytes_max)
      return Fail(Code::kDataLoss, "{} in {} is larger than it may be", path, Describe());
  }
}

Result<std::unique_ptr<Storage>> OpenStorage(const StorageOptions& options) {
  if (options.kind == "file") return OpenFileStorage(options.file_root);
  if (options.kind == "s3") return OpenS3Storage(options.file_root);
  if (options.kind == "gcs") return OpenGcsStorage(options.file_root);
  if (options.kind.empty()) {
    return Fail(Code::kFailedPrecondition,
                "no backup storage is set: give --backup-storage-implementation and its flags");
  }
  return Fail(Code::kInvalidArgument, "--backup-storage-implementation \"{}\": use file, s3 or gcs",
              options.kind);
}

Status CheckPathPart(std::string_view what, std::string_view part) {
  bool good = !part.empty() && part != "." && part != ".." && part.size() <= 200;
  for (char c : part) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '.' || c == '-' || c == '_';
    good = good && plain;
  }
  if (good) return {};
  return Fail(Code::kInvalidArgument, "\"{}\" is no name of a {}", part, what);
}

Status CheckPath(const std::string& path) {
  if (path.empty()) return CheckPathPart("object", path);
  for (std::string_view part : Split(path, '/')) RETURN_IF_ERROR(CheckPathPart("object", part));
  return {};
}

}  // namespace paceline::backup
