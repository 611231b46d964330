// mysqld/version.h - which server, from the texts that servers give. Threads: values.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <tuple>

#include "base/error.h"
#include "gtid/set.h"

namespace paceline::mysqld {

struct ServerVersion {
  gtid::Flavor flavor = gtid::Flavor::kMysql;
  int major = 0, minor = 0, patch = 0;
  std::string text;  // as the server wrote it: "9.7.4-2", "10.11.19-MariaDB-0+deb12u1"

  bool mariadb() const { return flavor == gtid::Flavor::kMariadb; }
  bool AtLeast(int want_major, int want_minor = 0, int want_patch = 0) const {
    return std::tie(major, minor, patch) >= std::tie(want_major, want_minor, want_patch);
  }
  // "MySQL 9.7.4" or "MariaDB 10.11.19".
  std::string ToString() const;
};

// What `mysqld --version` prints: "/usr/sbin/mysqld  Ver 8.4.3 for Linux on x86_64 (...)".
// Errors: kInvalidArgument quoting the text; kFailedPrecondition for versions we do not support,
// naming those we do.
Result<ServerVersion> ParseVersionBanner(std::string_view banner);
// What SELECT VERSION() or a greeting says: "8.0.40-0ubuntu1", "5.5.5-10.11.6-MariaDB". Errors: as
// above.
Result<ServerVersion> ParseVersionText(std::string_view text);

}  // namespace paceline::mysqld
