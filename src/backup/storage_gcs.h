// backup/storage_gcs.h - a storage in a bucket of Google Cloud Storage, by its JSON API.
#pragma once

#include "backup/storage.h"

namespace paceline::backup {

// Where requests get their right from. The first that is set wins; none: the machine's own service
// account, asked of the metadata server.
struct GcsAccess {
  std::string emulator_host;     // "127.0.0.1:4443", with or without http://: no authentication
  std::string credentials_file;  // a service account's key, JSON
  std::string metadata_host = "metadata.google.internal";
};
// The process's own, from its environment; told once by its main, before any storage is opened.
void SetGcsAccess(GcsAccess access);

// Addressed by "gs://<bucket>[/<prefix>][?endpoint=<url>]". Requests that fail in a way that may
// pass are sent again, five times at most, and a token that ran out is fetched anew.
// Errors: kInvalidArgument, kUnauthenticated: the key file is of no use.
Result<std::unique_ptr<Storage>> OpenGcsStorage(const std::string& address);

}  // namespace paceline::backup
