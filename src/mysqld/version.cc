#include "mysqld/version.h"

#include "base/strings.h"

namespace paceline::mysqld {
namespace {

// Reads "a.b.c" at the start of `text`; a missing third number counts as 0.
bool ReadNumbers(std::string_view text, ServerVersion& version) {
  int* parts[] = {&version.major, &version.minor, &version.patch};
  size_t at = 0;
  for (int i = 0; i < 3; ++i) {
    size_t end = at;
    while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
    auto number = ParseUint(text.substr(at, end - at));
    if (!number || *number > 100'000) return i == 2;
    *parts[i] = static_cast<int>(*number);
    if (end >= text.size() || text[end] != '.') return i >= 1;
    at = end + 1;
  }
  return true;
}

Status CheckSupported(const ServerVersion& version) {
  if (version.mariadb()) {
    if (version.AtLeast(10, 11)) return {};
    return Fail(Code::kFailedPrecondition, "MariaDB {} is not supported: 10.11 or later is needed",
                version.text);
  }
  // 8.0.26 brought the names of replication that everything since uses.
  bool known = version.AtLeast(8, 0, 26);
  if (known) return {};
  return Fail(
      Code::kFailedPrecondition,
      "MySQL {} is not supported: 8.0.26 or later, 8.4, 9.x or a calendar version is needed",
      version.text);
}

}  // namespace

std::string ServerVersion::ToString() const {
  return fmt::format("{} {}.{}.{}", mariadb() ? "MariaDB" : "MySQL", major, minor, patch);
}

Result<ServerVersion> ParseVersionText(std::string_view text) {
  ServerVersion version;
  version.text = std::string(Trim(text));
  if (Lower(text).find("mariadb") != std::string::npos) version.flavor = gtid::Flavor::kMariadb;
  std::string_view numbers = version.text;
  // MariaDB puts 5.5.5- before its own version in the greeting, for replicas of old.
  if (version.mariadb() && numbers.starts_with("5.5.5-")) numbers.remove_prefix(6);
  if (!ReadNumbers(numbers, version)) {
    return Fail(Code::kInvalidArgument, "cannot read a server version from \"{}\"", version.text);
  }
  RETURN_IF_ERROR(CheckSupported(version));
  return version;
}

Result<ServerVersion> ParseVersionBanner(std::string_view banner) {
  size_t at = banner.find("Ver ");
  if (at == std::string_view::npos) {
    return Fail(Code::kInvalidArgument, "cannot read a server version from \"{}\"",
                Trim(banner.substr(0, 200)));
  }
  std::string_view rest = banner.substr(at + 4);
  std::string_view word = rest.substr(0, rest.find_first_of(" \n\t"));
  std::string text(word);
  // Some builds name MariaDB only in the rest of the line.
  if (Lower(banner).find("mariadb") != std::string::npos &&
      Lower(word).find("mariadb") == std::string::npos) {
    text += "-MariaDB";
  }
  return ParseVersionText(text);
}

}  // namespace paceline::mysqld
