#include "io/resolve.h"

#include <netdb.h>

#include <algorithm>

#include "io/blocking.h"

namespace paceline::io {
namespace {

Result<std::vector<Address>> LookUp(const Address& named) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(named.host.c_str(), nullptr, &hints, &found);
  if (error != 0)
    return Fail(Code::kUnavailable, "cannot resolve {}: {}", named.host, gai_strerror(error));
  std::vector<Address> all;
  for (const addrinfo* one = found; one != nullptr; one = one->ai_next) {
    char host[NI_MAXHOST];
    if (getnameinfo(one->ai_addr, one->ai_addrlen, host, sizeof host, nullptr, 0, NI_NUMERICHOST) ==
        0) {
      all.push_back(Address::Tcp(host, named.port));
    }
  }
  freeaddrinfo(found);
  const auto text = [](const Address& address) { return address.ToString(); };
  std::ranges::sort(all, {}, text);
  const auto doubles = std::ranges::unique(all, {}, text);
  all.erase(doubles.begin(), doubles.end());
  return all;
}

}  // namespace

Task<Result<std::vector<Address>>> AddressesOf(Address named) {
  if (named.is_unix()) co_return std::vector<Address>{named};
  std::function<Result<std::vector<Address>>()> work = [named] { return LookUp(named); };
  Result<std::vector<Address>> all =
      co_await RunBlocking<Result<std::vector<Address>>>(std::move(work));
  co_return all;
}

}  // namespace paceline::io
