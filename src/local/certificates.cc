#include "local/certificates.h"

#include <sys/stat.h>

#include <filesystem>

#include "io/certificates.h"
#include "io/file.h"
#include "local/cluster.h"

namespace paceline::local {
namespace {

constexpr Duration kLifetime = std::chrono::hours(24 * 3650);

Status Write(const Layout& layout, const std::string& name, const io::Certificate& pair) {
  const std::string key = layout.TlsFile(name + "-key");
  RETURN_IF_ERROR(io::ReplaceFile(key, pair.key_pem));
  if (chmod(key.c_str(), 0600) != 0)
    return Fail(Code::kPermissionDenied, "cannot restrict {} to its owner", key);
  return io::ReplaceFile(layout.TlsFile(name), pair.cert_pem);  // last: it says that both are there
}

}  // namespace

Status MakeCertificates(const Layout& layout) {
  std::error_code error;
  std::filesystem::create_directories(layout.TlsDir(), error);
  chmod(layout.TlsDir().c_str(), 0700);
  const WallTime now = SystemClock().WallNow();
  io::Certificate authority;
  if (std::filesystem::exists(layout.TlsFile("ca"), error)) {
    authority.cert_pem = ReadTextFile(layout.TlsFile("ca"));
    authority.key_pem = ReadTextFile(layout.TlsFile("ca-key"));
  } else {
    ASSIGN_OR_RETURN(authority, io::MakeAuthority("Paceline local cluster", now, kLifetime));
    RETURN_IF_ERROR(Write(layout, "ca", authority));
  }
  for (const char* name : {"node", "client"}) {
    if (std::filesystem::exists(layout.TlsFile(name), error)) continue;
    std::vector<std::string> hosts;
    if (std::string_view(name) == "node") hosts = {"localhost", "127.0.0.1"};
    ASSIGN_OR_RETURN(io::Certificate pair,
                     io::IssueCertificate(authority, name, hosts, now, kLifetime));
    RETURN_IF_ERROR(Write(layout, name, pair));
  }
  return {};
}

}  // namespace paceline::local
