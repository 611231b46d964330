// backup/storage_s3.h - a storage in a bucket of Amazon S3 or of what speaks its protocol.
#pragma once

#include "backup/storage.h"

namespace paceline::backup {

struct S3Credentials {
  std::string access_key, secret_key, session_token;
};
// The process's own, from its environment; told once by its main, before any storage is opened.
void SetS3Credentials(S3Credentials credentials);

// Addressed by "s3://<bucket>[/<prefix>]?region=<region>[&endpoint=<url>][&path_style=true]".
// Requests that fail in a way that may pass are sent again, five times at most.
// Errors: kInvalidArgument; kUnauthenticated without credentials.
Result<std::unique_ptr<Storage>> OpenS3Storage(const std::string& address);

}  // namespace paceline::backup
