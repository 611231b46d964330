#include "cmd/common_flags.h"

#include <iostream>

namespace paceline::cmd {

void CommonFlags::AddTo(FlagSet& flags) {
  flags.Text("topo-implementation", &topo.implementation, "etcd2, embedded or memory");
  flags.Text("topo-global-server-address", &topo.global_address,
             "etcd: host:port,...; embedded: a file");
  flags.Text("topo-global-root", &topo.global_root, "root of the global cell");
  flags.Time("topo-etcd-lease-ttl", &topo.lock_lease, "how long a lock outlives its holder");
  flags.Text("topo-etcd-tls-cert", &topo.tls_cert, "certificate for etcd");
  flags.Text("topo-etcd-tls-key", &topo.tls_key, "its key");
  flags.Text("topo-etcd-tls-ca", &topo.tls_ca, "CA of etcd");
  flags.Text("cell", &cell, "the cell this process is in");
  flags.Text("bind-address", &bind_address, "address to listen on; empty: every one");
  flags.Port("port", &port, "HTTP port; 0: none");
  flags.Port("grpc-port", &grpc_port, "gRPC port; 0: none");
  flags.Text("grpc-bind-address", &grpc_bind_address, "address for gRPC; empty: as bind-address");
  flags.Text("grpc-cert", &grpc_cert, "certificate of the gRPC server");
  flags.Text("grpc-key", &grpc_key, "its key");
  flags.Text("grpc-ca", &grpc_ca, "CA that clients must be signed by");
  flags.Text("log-level", &log_level, "debug, info, warning or error");
  flags.Ignored("service-map", true);
  flags.Ignored("logtostderr", false);
  flags.Ignored("alsologtostderr", false);
  flags.Ignored("log-dir", true);
  flags.Ignored("stderrthreshold", true);
  flags.Ignored("pid-file", true);
}

std::string CommonFlags::GrpcListenAddress() const {
  const std::string& host = grpc_bind_address.empty() ? bind_address : grpc_bind_address;
  return fmt::format("{}:{}", host.empty() ? "0.0.0.0" : host, grpc_port);
}

std::optional<int> ParseOrExit(FlagSet& flags, const std::vector<std::string>& arguments) {
  Status parsed = flags.ParseFlagsOnly(arguments);
  if (!parsed) {
    std::cerr << parsed.error().ToString() << "\n";
    return 2;
  }
  if (flags.help_asked()) {
    std::cout << flags.Help();
    return 0;
  }
  return std::nullopt;
}

int FailWith(const Error& error) {
  std::cerr << error.ToString() << "\n";
  return 1;
}

}  // namespace paceline::cmd
