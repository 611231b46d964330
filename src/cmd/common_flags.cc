#include "cmd/common_flags.h"

#include <iostream>

#include "backup/storage_s3.h"
#include "cmd/mains.h"

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

void BackupFlags::AddTo(FlagSet& flags) {
  flags.Text("backup-storage-implementation", &storage,
             "where backups are kept: file or s3; empty: nowhere");
  flags.Text("file-backup-storage-root", &file_root, "folder of the storage \"file\"");
  flags.Text("s3-backup-aws-region", &s3_region, "region of the bucket");
  flags.Text("s3-backup-aws-endpoint", &s3_endpoint,
             "address of what speaks S3's protocol; empty: Amazon's");
  flags.Text("s3-backup-storage-bucket", &s3_bucket, "bucket of the storage \"s3\"");
  flags.Text("s3-backup-storage-root", &s3_root, "prefix of all objects in it");
  flags.Bool("s3-backup-force-path-style", &s3_path_style,
             "name the bucket in the path, not in the host");
}

std::string BackupFlags::Root() const {
  if (storage != "s3") return file_root;
  return fmt::format("s3://{}{}{}?region={}{}{}{}", s3_bucket, s3_root.empty() ? "" : "/", s3_root,
                     s3_region, s3_endpoint.empty() ? "" : "&endpoint=", s3_endpoint,
                     s3_path_style ? "&path_style=true" : "");
}

void UseBackupCredentials() {
  backup::S3Credentials credentials;
  credentials.access_key = EnvironmentText("AWS_ACCESS_KEY_ID");
  credentials.secret_key = EnvironmentText("AWS_SECRET_ACCESS_KEY");
  credentials.session_token = EnvironmentText("AWS_SESSION_TOKEN");
  backup::SetS3Credentials(std::move(credentials));
}

}  // namespace paceline::cmd
