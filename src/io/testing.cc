#include "io/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>

#include "base/check.h"

namespace paceline::io {
namespace {

constexpr uint32_t kPorts = 4000;  // so many are chosen from
constexpr uint32_t kPortsPerProcess = 40;

// Nobody listens there and no connection uses it.
bool CanBind(uint16_t port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  bool bound =
      bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 && listen(fd, 1) == 0;
  close(fd);
  return bound;
}

}  // namespace

uint16_t FreePortForTest() {
  static std::atomic<uint32_t> next{static_cast<uint32_t>(getpid()) * kPortsPerProcess};
  uint32_t first_of_kernel = 0;
  std::ifstream("/proc/sys/net/ipv4/ip_local_port_range") >> first_of_kernel;
  if (first_of_kernel < 1024 + kPorts) first_of_kernel = 32768;  // no room below: the usual place
  for (uint32_t tried = 0; tried < kPorts; ++tried) {
    auto port = static_cast<uint16_t>(first_of_kernel - kPorts + next++ % kPorts);
    if (CanBind(port)) return port;
  }
  CHECK_MSG(false, "no free port for a test");
  return 0;
}

}  // namespace paceline::io
