// cmd/common_flags.h - flags that several programs share, in Vitess's names, and those of Vitess
// that have no effect here.
#pragma once

#include <string>
#include <vector>

#include "access/guard.h"
#include "base/flags.h"
#include "io/tls.h"
#include "rpc/channel.h"
#include "topo/open.h"

namespace paceline::cmd {

struct CommonFlags {
  topo::OpenOptions topo;
  std::string cell;
  std::string bind_address;
  int port = 0;
  int grpc_port = 0;
  std::string grpc_bind_address;
  std::string grpc_cert, grpc_key, grpc_ca;
  std::string log_level = "info";

  void AddTo(FlagSet& flags);
  void AddTopologyTo(FlagSet& flags);
  // Errors: kInvalidArgument for a certificate without its key, or a CA without a certificate.
  Status CheckTls() const;
  // For the native data plane; null without certificate. Errors: unreadable files.
  Result<std::shared_ptr<io::TlsContext>> NativeTls() const;
  // host for listening; "" is every address.
  std::string GrpcListenAddress() const;
};

// TLS of this process as a client of others, in Vitess's names: --<prefix>-ca and so on.
struct PeerTlsFlags {
  std::string ca, cert, key, server_name;
  // `prefix`: "tablet-grpc"; `whom`: "tablets".
  void AddTo(FlagSet& flags, const std::string& prefix, const std::string& whom);
  bool on() const { return !ca.empty() || !cert.empty(); }
  // Errors: kInvalidArgument for a key without a certificate, or the other way round.
  Status Check(const std::string& prefix) const;
  rpc::ChannelOptions Channel() const;
  // For the native data plane to `host`; null when off. Errors: unreadable files.
  Result<std::shared_ptr<io::TlsContext>> Native(const std::string& host) const;
};

// Who may administer: vtctld's and vtorc's.
struct AccessFlags {
  access::GuardOptions guard;
  void AddTo(FlagSet& flags);
};

// What main does first: parses, answers --help and --version. Empty: go on. Else the exit code.
std::optional<int> ParseOrExit(FlagSet& flags, const std::vector<std::string>& arguments);
// Says why on standard error, in one line.
int FailWith(const Error& error);

// Where backups are, and how they are made.
struct BackupFlags {
  std::string storage, file_root, key_file, gcs_bucket, gcs_root;
  std::string s3_region = "us-east-1", s3_endpoint, s3_bucket, s3_root;
  bool s3_path_style = false;
  std::string engine, compression = "zstd";
  int64_t rate = 0;
  bool count_rows = true;
  // Where they are.
  void AddTo(FlagSet& flags);
  // How they are made.
  void AddMakingTo(FlagSet& flags);
  // As backup::StorageOptions::file_root.
  std::string Root() const;
};
// AWS_ACCESS_KEY_ID, GOOGLE_APPLICATION_CREDENTIALS and their like, for the backups of this
// process.
void UseBackupCredentials();

}  // namespace paceline::cmd
