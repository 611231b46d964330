// io/certificates.h - a certificate authority of one's own, for local clusters and tests: ECDSA on
// P-256, PEM. Not for who has a real one. Threads: any.
#pragma once

#include <string>
#include <vector>

#include "base/error.h"
#include "base/time.h"

namespace paceline::io {

struct Certificate {
  std::string cert_pem, key_pem;
};

// Signs itself. `now`: from when it holds, less an hour for clocks that differ.
Result<Certificate> MakeAuthority(const std::string& name, WallTime now, Duration lifetime);
// For servers and clients both; `hosts` are names and addresses, of which a client may have none.
Result<Certificate> IssueCertificate(const Certificate& authority, const std::string& name,
                                     const std::vector<std::string>& hosts, WallTime now,
                                     Duration lifetime);

}  // namespace paceline::io
