// "paceline restore": the past of a local cluster's keyspace, beside the live one.
#include "local/snapshots.h"

#include <iostream>
#include <nlohmann/json.hpp>

#include "base/flags.h"
#include "base/strings.h"
#include "base/time_text.h"
#include "io/blocking.h"
#include "io/file.h"
#include "io/sleep.h"
#include "local/cluster.h"
#include "local/commands.h"
#include "mysql/client/connection.h"
#include "record/record.h"

namespace paceline::local {
namespace {

constexpr Duration kPatience = std::chrono::hours(12);
constexpr size_t kSnapshotsMax = 20;

void Say(const std::string& line) { std::cout << line << "\n" << std::flush; }

std::string FileOf(const Layout& layout) { return layout.options().data_dir + "/snapshots.json"; }

// How far the tablet says it is.
io::Task<std::string> ProgressOf(const Cluster& cluster, int index) {
  std::vector<std::string> get = {"GetTablet", cluster.layout().Alias(index)};
  Result<std::string> text = co_await cluster.Vtctldclient(std::move(get), 10s);
  if (!text) co_return "waiting for the tablet";
  nlohmann::json json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) co_return std::string();
  const nlohmann::json& tablet = json.contains("tablet") ? json["tablet"] : json;
  if (!tablet.contains("tags") || !tablet["tags"].is_object()) co_return std::string();
  co_return tablet["tags"].value("seed", std::string());
}

io::Task<bool> Serves(const Layout& layout, std::string database) {
  mysql::ConnectOptions options;
  options.address = io::Address::Tcp("127.0.0.1", static_cast<uint16_t>(layout.VtgateMysql()));
  options.user = "root";
  options.database = std::move(database);
  auto connection = co_await mysql::Connection::Connect(options, Deadline::In(2s));
  if (!connection) co_return false;
  auto answer = co_await (*connection)->Query("SHOW TABLES", Deadline::In(2s));
  co_return answer.has_value();
}

io::Task<int> Restore(ClusterOptions options, Snapshot wanted) {
  Cluster cluster(options);
  const Layout& layout = cluster.layout();
  if (NobodySupervises(layout)) {
    Say("the cluster does not run: start it with \"paceline up\"");
    co_return 1;
  }
  std::vector<Snapshot> snapshots = LoadSnapshots(layout);
  if (snapshots.size() >= kSnapshotsMax) {
    Say(fmt::format("there are {} side keyspaces already", snapshots.size()));
    co_return 1;
  }
  std::vector<std::string> create = {
      "CreateKeyspace",
      "--type=SNAPSHOT",
      "--base-keyspace",
      options.keyspace,
      "--snapshot-timestamp",
      wanted.timestamp.empty() ? Rfc3339(SystemClock().WallNow()) : wanted.timestamp,
      wanted.keyspace};
  Result<std::string> created = co_await cluster.Vtctldclient(std::move(create), 20s);
  if (!created) {
    Say(created.error().ToString());
    co_return 1;
  }
  snapshots.push_back(wanted);
  Status saved = SaveSnapshots(layout, snapshots);
  if (!saved) {
    Say(saved.error().ToString());
    co_return 1;
  }
  int index = static_cast<int>(options.tablets + static_cast<int64_t>(snapshots.size()) - 1);
  Say(fmt::format("tablet {} restores {} into {}", layout.Alias(index), options.keyspace,
                  wanted.keyspace));
  std::string last, database = wanted.keyspace + "@replica";
  Deadline deadline = Deadline::In(kPatience);
  for (;;) {
    bool serves = co_await Serves(layout, database);
    if (serves) break;
    std::string progress = co_await ProgressOf(cluster, index);
    if (progress != last && !progress.empty()) Say("  " + progress);
    if (!progress.empty()) last = progress;
    if (deadline.Passed(io::Loop::Current().Now())) {
      Say("it is not there yet; it goes on. The log: " +
          layout.LogFile("vttablet-" + std::to_string(layout.Uid(index))));
      co_return 1;
    }
    co_await io::SleepUntil(Deadline::In(500ms));
  }
  Say(fmt::format("{0} is there, read-only: mysql -h 127.0.0.1 -P {1} -u root {0}@replica",
                  wanted.keyspace, layout.VtgateMysql()));
  co_return 0;
}

}  // namespace

std::vector<Snapshot> LoadSnapshots(const Layout& layout) {
  std::vector<Snapshot> snapshots;
  nlohmann::json json = nlohmann::json::parse(ReadTextFile(FileOf(layout)), nullptr, false);
  if (!json.is_array()) return snapshots;
  for (const nlohmann::json& one : json) {
    if (!one.is_object()) continue;
    snapshots.push_back(
        {one.value("keyspace", ""), one.value("position", ""), one.value("timestamp", "")});
  }
  return snapshots;
}

Status SaveSnapshots(const Layout& layout, const std::vector<Snapshot>& snapshots) {
  nlohmann::json json = nlohmann::json::array();
  for (const Snapshot& one : snapshots) {
    json.push_back(
        {{"keyspace", one.keyspace}, {"position", one.position}, {"timestamp", one.timestamp}});
  }
  return io::ReplaceFile(FileOf(layout), json.dump(2) + "\n");
}

int RestoreMain(const std::vector<std::string>& arguments) {
  std::string data_dir = "data";
  Snapshot wanted;
  FlagSet flags("paceline restore", "--as <keyspace> {--restore-to-pos <position> | ...} [flags]",
                "Brings back the past of a local cluster's keyspace beside the live one, from its "
                "backup and the archive of its binary logs.");
  flags.Text("data-dir", &data_dir, "where the cluster is kept");
  flags.Text("as", &wanted.keyspace, "name of the keyspace that is made");
  flags.Text("restore-to-pos", &wanted.position,
             "before:<gtid>, upto:<gtid>, or a GTID set; \"vtctldclient GetArchive --ddl\" lists "
             "GTIDs");
  flags.Text("restore-to-timestamp", &wanted.timestamp,
             "up to this second, without it, as 2026-11-22T22:40:00Z");
  Status parsed = flags.ParseFlagsOnly(arguments);
  if (parsed && flags.help_asked()) {
    std::cout << flags.Help();
    return 0;
  }
  if (parsed && wanted.position.empty() == wanted.timestamp.empty()) {
    parsed = Fail(Code::kInvalidArgument,
                  "give --restore-to-pos or --restore-to-timestamp, one of them");
  }
  if (parsed) parsed = record::ValidateName("keyspace", wanted.keyspace);
  if (parsed && !wanted.timestamp.empty()) {
    Result<WallTime> at = ParseRfc3339(wanted.timestamp);
    if (!at) parsed = Fail(at.error().Context("--restore-to-timestamp"));
  }
  if (!parsed) {
    std::cerr << parsed.error().ToString() << "\n";
    return 2;
  }
  Result<ClusterOptions> options = LoadCluster(data_dir);
  if (!options) {
    std::cerr << options.error().ToString() << "\n";
    return 1;
  }
  io::Loop loop;
  return io::RunUntilDone(loop, Restore(*options, wanted));
}

}  // namespace paceline::local
