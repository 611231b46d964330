#include "cmd/common_flags.h"

#include <iostream>

#include "backup/storage_gcs.h"
#include "backup/storage_s3.h"
#include "cmd/mains.h"

namespace paceline::cmd {

void CommonFlags::AddTopologyTo(FlagSet& flags) {
  flags.Text("topo-implementation", &topo.implementation, "etcd2, embedded or memory");
  flags.Text("topo-global-server-address", &topo.global_address,
             "etcd: host:port,...; embedded: a file");
  flags.Text("topo-global-root", &topo.global_root, "root of the global cell");
  flags.Time("topo-etcd-lease-ttl", &topo.lock_lease, "how long a lock outlives its holder");
  flags.Text("topo-etcd-tls-cert", &topo.tls_cert, "certificate for etcd");
  flags.Text("topo-etcd-tls-key", &topo.tls_key, "its key");
  flags.Text("topo-etcd-tls-ca", &topo.tls_ca, "CA of etcd");
}

void CommonFlags::AddTo(FlagSet& flags) {
  AddTopologyTo(flags);
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

Status CommonFlags::CheckTls() const {
  if (grpc_cert.empty() != grpc_key.empty()) {
    return Fail(Code::kInvalidArgument, "--grpc-cert and --grpc-key need each other");
  }
  if (!grpc_ca.empty() && grpc_cert.empty()) {
    return Fail(Code::kInvalidArgument, "--grpc-ca needs --grpc-cert and --grpc-key");
  }
  return {};
}

Result<std::shared_ptr<io::TlsContext>> CommonFlags::NativeTls() const {
  if (grpc_cert.empty()) return std::shared_ptr<io::TlsContext>();
  io::TlsOptions options;
  options.cert_file = grpc_cert;
  options.key_file = grpc_key;
  options.ca_file = grpc_ca;
  options.require_peer_certificate = !grpc_ca.empty();
  return io::TlsContext::Server(options);
}

void PeerTlsFlags::AddTo(FlagSet& flags, const std::string& prefix, const std::string& whom) {
  flags.Text(prefix + "-ca", &ca, "TLS to " + whom + ": CA that their certificates are signed by");
  flags.Text(prefix + "-cert", &cert, "certificate to show them");
  flags.Text(prefix + "-key", &key, "its key");
  flags.Text(prefix + "-server-name", &server_name,
             "name in their certificates; empty: the host of their address");
}

Status PeerTlsFlags::Check(const std::string& prefix) const {
  if (cert.empty() == key.empty()) return {};
  return Fail(Code::kInvalidArgument, "--{0}-cert and --{0}-key need each other", prefix);
}

rpc::ChannelOptions PeerTlsFlags::Channel() const {
  rpc::ChannelOptions options;
  options.tls = on();
  options.ca_file = ca;
  options.cert_file = cert;
  options.key_file = key;
  options.server_name = server_name;
  return options;
}

Result<std::shared_ptr<io::TlsContext>> PeerTlsFlags::Native(const std::string& host) const {
  if (!on()) return std::shared_ptr<io::TlsContext>();
  io::TlsOptions options;
  options.ca_file = ca;
  options.cert_file = cert;
  options.key_file = key;
  options.server_name = server_name.empty() ? host : server_name;
  return io::TlsContext::Client(options);
}

void AccessFlags::AddTo(FlagSet& flags) {
  flags.Text("access-users-file", &guard.users_file,
             "who may do what: names, roles, hashed tokens; empty: this machine and who shows a "
             "certificate (--grpc-ca), as admin");
  flags.Text("audit-log-file", &guard.audit_file,
             "JSON lines of what was done and refused; empty: the log");
  flags.Bool("access-open", &guard.open, "everybody may do everything: for a laboratory");
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
             "where backups are kept: file, s3 or gcs; empty: nowhere");
  flags.Text("file-backup-storage-root", &file_root, "folder of the storage \"file\"");
  flags.Text("s3-backup-aws-region", &s3_region, "region of the bucket");
  flags.Text("s3-backup-aws-endpoint", &s3_endpoint,
             "address of what speaks S3's protocol; empty: Amazon's");
  flags.Text("s3-backup-storage-bucket", &s3_bucket, "bucket of the storage \"s3\"");
  flags.Text("s3-backup-storage-root", &s3_root, "prefix of all objects in it");
  flags.Bool("s3-backup-force-path-style", &s3_path_style,
             "name the bucket in the path, not in the host");
  flags.Text("gcs-backup-storage-bucket", &gcs_bucket, "bucket of the storage \"gcs\"");
  flags.Text("gcs-backup-storage-root", &gcs_root, "prefix of all objects in it");
}

void BackupFlags::AddMakingTo(FlagSet& flags) {
  flags.Text("backup-engine-implementation", &engine,
             "clone, mariabackup, logical or builtin; empty: the server's own that stores files "
             "and does not "
             "stop it");
  flags.Text("compression-engine-name", &compression, "compression of backups: zstd, lz4 or none");
  flags.Bool(
      "backup-count-rows", &count_rows,
      "count each table's rows when a backup is made, so that VerifyBackup can compare them");
  flags.Int("backup-rate-limit", &rate, "bytes a second at most; 0: no limit");
  flags.Text("backup-encryption-key-file", &key_file,
             "file with the secret that backups are sealed with (AES-256-GCM); empty: not sealed");
}

std::string BackupFlags::Root() const {
  if (storage == "gcs")
    return fmt::format("gs://{}{}{}", gcs_bucket, gcs_root.empty() ? "" : "/", gcs_root);
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
  backup::GcsAccess access;
  access.emulator_host = EnvironmentText("STORAGE_EMULATOR_HOST");
  access.credentials_file = EnvironmentText("GOOGLE_APPLICATION_CREDENTIALS");
  std::string metadata = EnvironmentText("GCE_METADATA_HOST");
  if (!metadata.empty()) access.metadata_host = std::move(metadata);
  backup::SetGcsAccess(std::move(access));
}

}  // namespace paceline::cmd
