// local/layout.h - where a local cluster keeps what, and on which ports it listens. Pure.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"

namespace paceline::local {

struct ClusterOptions {
  std::string data_dir = "data";  // made absolute by Prepare
  int64_t tablets = 3;
  std::string flavor;             // "mysql", "mariadb"; empty: what is found, MySQL first
  std::string topo = "embedded";  // or "etcd"
  int base_port = 15000;
  std::string cell = "zone1";
  std::string keyspace = "test_keyspace";
  std::string schema_file;      // applied after the first start; empty: none
  std::string mysqld_path;      // empty: searched for
  std::string etcd_path;        // empty: the one in PATH
  bool tls = false;             // between all processes, with certificates of its own
  int64_t vtorcs = 2;           // heal the shard by themselves; 0: nobody does
  bool archive = false;         // binary logs go to the backups' folder all the time
  int64_t vtgate_threads = 0;   // 0: by the number of cores
  bool gate_in_tablet = false;  // the gate and the first tablet are one process
  bool init = true;             // create the keyspace and elect its first primary
  int64_t greeter_seconds = 0;  // run the greeter's load for so long; 0: not at all
  std::string greeter;          // the greeter's wrapper script
  // For vttablet and vtctld, separated by blanks: where backups are kept and how they are made.
  std::string backup_flags;
  std::string vttablet_flags, vtctld_flags;  // more of them, separated by blanks
};

class Layout {
 public:
  explicit Layout(const ClusterOptions& options) : options_(options) {}

  // Ports are the documented defaults, all moved by base_port - 15000.
  int VtctldWeb() const { return Port(15000); }
  int VtctldGrpc() const { return Port(15999); }
  int VtorcWeb(int index) const { return Port(16000 + index); }
  int VtgateWeb() const { return Port(15001); }
  int VtgateGrpc() const { return Port(15991); }
  int VtgateMysql() const { return Port(15306); }
  int TabletWeb(int index) const { return Port(15100 + index); }
  int TabletGrpc(int index) const { return Port(16100 + index); }
  int TabletNative(int index) const { return Port(18100 + index); }
  int Mysqld(int index) const { return Port(17100 + index); }
  int MysqlctldWeb(int index) const { return Port(15200 + index); }
  int EtcdClient(int member) const { return Port(15790 + 2 * member); }
  int EtcdPeer(int member) const { return Port(15791 + 2 * member); }
  int EtcdExchange(int member) const { return Port(15796 + member); }
  std::vector<int> AllPorts() const;

  int Uid(int index) const { return 100 + index; }
  std::string Alias(int index) const;
  std::string LogFile(const std::string& process) const {
    return options_.data_dir + "/log/" + process + ".log";
  }
  std::string TabletDir(int index) const;
  std::string BackupDir() const { return options_.data_dir + "/backups"; }
  // The flags in a text that separates them by blanks.
  static std::vector<std::string> MoreFlags(const std::string& text);
  // What those that make or list backups are told.
  std::vector<std::string> BackupFlags() const;
  std::string MysqldSocket(int index) const { return TabletDir(index) + "/mysql.sock"; }
  std::string MysqlctlSocket(int index) const { return TabletDir(index) + "/mysqlctl.sock"; }
  std::string NativeSocket(int index) const { return TabletDir(index) + "/native.sock"; }
  std::string HistoryFile(int vtorc) const {
    return options_.data_dir + "/vtorc-" + std::to_string(vtorc) + ".db";
  }
  std::string StateFile() const { return options_.data_dir + "/processes.json"; }
  std::string OptionsFile() const { return options_.data_dir + "/cluster.json"; }
  std::string LockFile() const { return options_.data_dir + "/supervisor.lock"; }

  std::string EtcdSecretFile() const { return options_.data_dir + "/etcd.secret"; }

  std::string TlsDir() const { return options_.data_dir + "/tls"; }
  std::string TlsFile(const std::string& name) const { return TlsDir() + "/" + name + ".pem"; }
  // Of a server of gRPC, and of a client whose flags begin with `prefix`; empty without --tls.
  std::vector<std::string> TlsServerFlags() const;
  std::vector<std::string> TlsClientFlags(const std::string& prefix,
                                          const std::string& who = "node") const;

  // What every process is told about the topology.
  std::vector<std::string> TopoFlags() const;
  const ClusterOptions& options() const { return options_; }

 private:
  int Port(int standard) const { return options_.base_port + standard - 15000; }
  ClusterOptions options_;
};

// Kept in OptionsFile(), so that later commands and starts agree with the first one.
std::string OptionsToJson(const ClusterOptions& options);
Result<ClusterOptions> OptionsFromJson(const std::string& text);

// What `up` runs with where a cluster is kept already: what was not `given` by a flag now is as the
// cluster was made. `notes`: each other change. Errors: kFailedPrecondition naming the flag that
// cannot change.
Result<ClusterOptions> MergeOptions(const ClusterOptions& kept, ClusterOptions wanted,
                                    const std::set<std::string>& given,
                                    std::vector<std::string>* notes);

}  // namespace paceline::local
