// topo/open.h - the backends by their names in flags, as Vitess's programs take them:
// --topo-implementation,
// --topo-global-server-address, --topo-global-root (main declares the flags and fills this).
#pragma once

#include <memory>
#include <string>

#include "topo/server.h"

namespace paceline::topo {

struct OpenOptions {
  // "etcd2" or "etcd": address is host:port,host:port. "embedded" or "sqlite": address is a file.
  // "memory": this process alone, address is any name; equal names share data.
  std::string implementation = "etcd2";
  std::string global_address, global_root;
  Duration lock_lease = 5s;               // --topo-etcd-lease-ttl
  std::string tls_cert, tls_key, tls_ca;  // --topo-etcd-tls-cert, -key, -ca
};

// Does not talk to the store. Errors: kInvalidArgument naming the flag. REQUIRES: called on a loop.
Result<std::unique_ptr<Server>> OpenServer(const OpenOptions& options);

}  // namespace paceline::topo
