// local/certificates.h - the certificates of a local cluster under --tls: an authority, one pair
// for its processes, one for people. Kept in <data>/tls, made where they are not yet.
#pragma once

#include "base/error.h"
#include "local/layout.h"

namespace paceline::local {

// Errors: kPermissionDenied and its like for the folder.
Status MakeCertificates(const Layout& layout);

}  // namespace paceline::local
