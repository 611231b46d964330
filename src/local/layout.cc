#include "local/layout.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/strings.h"

namespace paceline::local {

std::vector<int> Layout::AllPorts() const {
  std::vector<int> ports = {VtctldWeb(), VtctldGrpc(), VtgateWeb(), VtgateGrpc(), VtgateMysql()};
  for (int i = 0; i < options_.vtorcs; ++i) ports.push_back(VtorcWeb(i));
  for (int i = 0; i < options_.tablets; ++i) {
    ports.insert(ports.end(),
                 {TabletWeb(i), TabletGrpc(i), TabletNative(i), Mysqld(i), MysqlctldWeb(i)});
  }
  for (int i = 0; options_.topo == "etcd" && i < 3; ++i) {
    ports.insert(ports.end(), {EtcdClient(i), EtcdPeer(i), EtcdExchange(i)});
  }
  return ports;
}

std::string Layout::Alias(int index) const {
  return fmt::format("{}-{:010}", options_.cell, Uid(index));
}

std::string Layout::TabletDir(int index) const {
  return fmt::format("{}/vt_{:010}", options_.data_dir, Uid(index));
}

std::vector<std::string> Layout::TopoFlags() const {
  std::string address = options_.data_dir + "/topo/topology.sqlite";
  if (options_.topo == "etcd") {
    address.clear();
    for (int i = 0; i < 3; ++i) {
      address += fmt::format("{}{}://127.0.0.1:{}", i == 0 ? "" : ",",
                             options_.tls ? "https" : "http", EtcdClient(i));
    }
  }
  std::vector<std::string> flags = {
      "--topo-implementation",        options_.topo == "etcd" ? "etcd2" : "embedded",
      "--topo-global-server-address", address,
      "--topo-global-root",           "/vitess/global"};
  if (options_.topo == "etcd") {
    const std::vector<std::string> tls = TlsClientFlags("topo-etcd-tls");
    flags.insert(flags.end(), tls.begin(), tls.end());
  }
  return flags;
}

std::vector<std::string> Layout::TlsServerFlags() const {
  if (!options_.tls) return {};
  return {"--grpc-cert",       TlsFile("node"), "--grpc-key",
          TlsFile("node-key"), "--grpc-ca",     TlsFile("ca")};
}

std::vector<std::string> Layout::TlsClientFlags(const std::string& prefix,
                                                const std::string& who) const {
  if (!options_.tls) return {};
  const std::string dashes = "--" + prefix;
  return {dashes + "-cert",      TlsFile(who),   dashes + "-key",
          TlsFile(who + "-key"), dashes + "-ca", TlsFile("ca")};
}

std::vector<std::string> Layout::MoreFlags(const std::string& text) {
  std::vector<std::string> flags;
  for (std::string_view flag : Split(text, ' '))
    if (!flag.empty()) flags.emplace_back(flag);
  return flags;
}

std::vector<std::string> Layout::BackupFlags() const {
  std::vector<std::string> flags = MoreFlags(options_.backup_flags);
  if (options_.backup_flags.find("storage") == std::string::npos) {
    flags.insert(flags.end(), {"--backup-storage-implementation", "file",
                               "--file-backup-storage-root", BackupDir()});
  }
  return flags;
}

std::string OptionsToJson(const ClusterOptions& o) {
  nlohmann::json json = {{"tablets", o.tablets},
                         {"flavor", o.flavor},
                         {"topo", o.topo},
                         {"base_port", o.base_port},
                         {"cell", o.cell},
                         {"keyspace", o.keyspace},
                         {"mysqld_path", o.mysqld_path},
                         {"etcd_path", o.etcd_path},
                         {"schema_file", o.schema_file},
                         {"archive", o.archive},
                         {"backup_flags", o.backup_flags},
                         {"vttablet_flags", o.vttablet_flags},
                         {"vtctld_flags", o.vtctld_flags},
                         {"vtorcs", o.vtorcs},
                         {"vtgate_threads", o.vtgate_threads},
                         {"gate_in_tablet", o.gate_in_tablet},
                         {"tls", o.tls}};
  return json.dump(2) + "\n";
}

Result<ClusterOptions> OptionsFromJson(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) return Fail(Code::kDataLoss, "not a JSON object");
  ClusterOptions o;
  o.tablets = json.value("tablets", o.tablets);
  o.flavor = json.value("flavor", o.flavor);
  o.topo = json.value("topo", o.topo);
  o.base_port = json.value("base_port", o.base_port);
  o.cell = json.value("cell", o.cell);
  o.keyspace = json.value("keyspace", o.keyspace);
  o.mysqld_path = json.value("mysqld_path", o.mysqld_path);
  o.etcd_path = json.value("etcd_path", o.etcd_path);
  o.schema_file = json.value("schema_file", o.schema_file);
  o.archive = json.value("archive", o.archive);
  o.backup_flags = json.value("backup_flags", o.backup_flags);
  o.vttablet_flags = json.value("vttablet_flags", o.vttablet_flags);
  o.vtctld_flags = json.value("vtctld_flags", o.vtctld_flags);
  o.vtorcs = json.value("vtorcs", o.vtorcs);
  o.gate_in_tablet = json.value("gate_in_tablet", o.gate_in_tablet);
  o.vtgate_threads = json.value("vtgate_threads", o.vtgate_threads);
  o.tls = json.value("tls", o.tls);
  return o;
}

namespace {

std::string TextOf(const std::string& value) { return value; }
std::string TextOf(bool value) { return value ? "true" : "false"; }
std::string TextOf(int64_t value) { return std::to_string(value); }
std::string TextOf(int value) { return std::to_string(value); }

}  // namespace

Result<ClusterOptions> MergeOptions(const ClusterOptions& kept, ClusterOptions wanted,
                                    const std::set<std::string>& given,
                                    std::vector<std::string>* notes) {
  Status fits;
  auto take = [&](const char* flag, auto ClusterOptions::*member, bool may_change) {
    const auto& was = kept.*member;
    auto& is = wanted.*member;
    if (!given.contains(flag)) is = was;
    if (is == was) return;
    if (may_change) {
      notes->push_back(
          fmt::format("--{}={}, where it was made with \"{}\"", flag, TextOf(is), TextOf(was)));
    } else if (fits) {
      fits = Fail(Code::kFailedPrecondition,
                  "the cluster in {} was made with --{}={}, which cannot become {}: leave the flag "
                  "away, or name another --data-dir for another cluster",
                  wanted.data_dir, flag, TextOf(was), TextOf(is));
    }
  };
  take("topo", &ClusterOptions::topo, false);
  take("tls", &ClusterOptions::tls, false);
  take("cell", &ClusterOptions::cell, false);
  take("keyspace", &ClusterOptions::keyspace, false);
  take("base-port", &ClusterOptions::base_port, false);
  // Found, not asked for, the first time: the data say which it was.
  take("flavor", &ClusterOptions::flavor, kept.flavor.empty());
  take("tablets", &ClusterOptions::tablets, wanted.tablets > kept.tablets);
  take("mysqld", &ClusterOptions::mysqld_path, true);
  take("etcd", &ClusterOptions::etcd_path, true);
  take("vtorcs", &ClusterOptions::vtorcs, true);
  take("archive-binlogs", &ClusterOptions::archive, true);
  take("vtgate-threads", &ClusterOptions::vtgate_threads, true);
  take("gate-in-tablet", &ClusterOptions::gate_in_tablet, true);
  take("backup-flags", &ClusterOptions::backup_flags, true);
  take("vttablet-flags", &ClusterOptions::vttablet_flags, true);
  take("vtctld-flags", &ClusterOptions::vtctld_flags, true);
  if (!fits) return Fail(fits.error());
  return wanted;
}

}  // namespace paceline::local
