// topo/etcd/etcd_conn.h - the topology in etcd v3, laid out as Vitess does: keys `<root>/<path>`,
// locks as leased keys
// `<root>/<dir>/locks/<lease id>` in order of revision, so that real Vitess processes share
// records, watches and locks. Endpoints fail over; calls never hang; watches resume after outages
// and compactions and re-read after each break.
#pragma once

#include <string>

#include "io/loop.h"
#include "topo/conn.h"

namespace paceline::topo::etcd {

struct EtcdOptions {
  std::string
      endpoints;  // "host:port,host:port"; an "http://" or "https://" before each is allowed
  std::string root;
  std::string tls_cert, tls_key, tls_ca;  // PEM files; any of them turns TLS on
};

// Does not connect yet. Errors: kInvalidArgument for endpoints or unreadable files. REQUIRES:
// `loop` outlives it.
Result<ConnPtr> Open(io::Loop& loop, const EtcdOptions& options);

}  // namespace paceline::topo::etcd
