// The archive against real servers: what one wrote comes back in another, up to any transaction.
#include <gtest/gtest.h>

#include <filesystem>

#include "backup/archive_reader.h"
#include "backup/archive_replay.h"
#include "backup/archive_stream.h"
#include "base/rng.h"
#include "base/strings.h"
#include "io/sleep.h"
#include "mysqld/testing.h"

namespace paceline::backup {
namespace {

using mysqld::InTest;

class ArchiveTest : public testing::TestWithParam<gtid::Flavor> {
 protected:
  void SetUp() override {
    if (!servers.available()) GTEST_SKIP() << "no server of this flavor on this machine";
    folder = servers.root() + "/archive";
    std::filesystem::create_directories(folder);
    storage = std::shared_ptr<Storage>(std::move(*OpenStorage({"file", folder})));
    source = &servers.Add(1);
    server = std::make_unique<mysqld::Replication>(source->admin(), Version());
    Ask("SET GLOBAL read_only = OFF");
    Ask("CREATE DATABASE d");
    Ask("CREATE TABLE d.t (id INT PRIMARY KEY AUTO_INCREMENT, v LONGTEXT)");
  }
  mysqld::ServerVersion Version() { return servers.programs().version; }
  Archive Kept(std::string secret = "") { return *Archive::Of(storage, "ks", "0", secret); }
  std::string Ask(std::string sql) { return servers.Ask(*source, std::move(sql)); }

  ArchiveStreamOptions StreamOptions() {
    ArchiveStreamOptions options;
    options.server.address = io::Address::Unix(source->options().config.SocketPath());
    options.server.user = source->options().users.dba.name;
    options.server.password = source->options().users.dba.password;
    options.server_id = 4'000'000'000u + ++readers;
    options.alias = {"zone1", 101};
    options.close_after = 50ms;
    options.heartbeat = 50ms;
    return options;
  }
  // One archiver that runs until it is stopped.
  struct Archiver {
    std::unique_ptr<ArchiveStream> stream;
    bool go_on = true, ended = false;
    Status status;
  };
  static io::Task<void> RunArchiver(std::shared_ptr<Archiver> one, gtid::Set from) {
    std::function<bool()> go_on = [one] { return one->go_on; };
    one->status = co_await one->stream->Run(std::move(from), go_on);
    one->ended = true;
  }
  std::shared_ptr<Archiver> StartArchiver(std::string secret = "") {
    auto one = std::make_shared<Archiver>();
    Archive archive = Kept(secret);
    auto archived = archive.Position();
    EXPECT_TRUE(archived);
    auto start = servers.Await(WhereToStart(*server, *archived, InTest()));
    EXPECT_TRUE(start) << (start ? "" : start.error().ToString());
    EXPECT_EQ(start->gap, "");
    one->stream = std::make_unique<ArchiveStream>(servers.loop, archive, StreamOptions());
    gtid::Set from = start->from;
    servers.loop.Post([one, from] { io::Detach(RunArchiver(one, from)); });
    return one;
  }
  void Caught(Archiver& one) {
    gtid::Set all = *servers.Await(server->Position(InTest()));
    ASSERT_TRUE(servers.Until([&] {
      return one.ended || ArchivePosition(one.stream->progress().position).Covers(all);
    })) << one.stream->progress().position.ToString()
        << " of " << all.ToString();
    ASSERT_FALSE(one.ended) << (one.status ? "" : one.status.error().ToString());
  }
  void StopArchiver(Archiver& one) {
    one.go_on = false;
    ASSERT_TRUE(servers.Until([&] { return one.ended; }));
  }
  Result<ReplayReport> Replay(mysqld::Instance& into, RestorePoint point) {
    mysqld::Replication replication(into.admin(), Version());
    std::function<bool(std::string)> told = [](std::string) { return true; };
    return servers.Await(ReplayArchive(servers.loop, replication, Kept(), std::move(point),
                                       std::move(told), InTest()));
  }

  mysqld::TestServers servers{GetParam()};
  std::string folder;
  std::shared_ptr<Storage> storage;
  mysqld::Instance* source = nullptr;
  std::unique_ptr<mysqld::Replication> server;
  uint32_t readers = 0;
};

TEST_P(ArchiveTest, AnyTransactionIsAPointToGoBackTo) {
  auto archiver = StartArchiver();
  for (int i = 1; i <= 50; ++i) Ask("INSERT INTO d.t (v) VALUES ('" + std::to_string(i) + "')");
  gtid::Set middle = *servers.Await(server->Position(InTest()));
  Ask("INSERT INTO d.t (v) VALUES (REPEAT('x', 3000000))");  // more than a segment, compressed or
                                                             // not
  Ask("INSERT INTO d.t (v) SELECT v FROM d.t WHERE id = 51 UNION ALL SELECT 'small'");
  // Another log, then another archiver that begins where this one was.
  Ask("FLUSH BINARY LOGS");
  Ask("CREATE TABLE d.kept (id INT PRIMARY KEY)");
  Caught(*archiver);
  StopArchiver(*archiver);
  archiver = StartArchiver();
  auto second = StartArchiver();  // and one that does the same twice
  Ask("DROP TABLE d.t");
  Ask("INSERT INTO d.kept VALUES (1), (2)");
  Caught(*archiver);
  Caught(*second);
  StopArchiver(*archiver);
  StopArchiver(*second);

  auto manifests = Kept().Manifests(gtid::Set());
  ASSERT_OK(manifests);
  std::string drop;
  for (const SegmentManifest& manifest : *manifests) {
    for (const ArchivedDdl& ddl : manifest.ddl) {
      if (ddl.statement.find("DROP TABLE") != std::string::npos) drop = ddl.gtid;
    }
  }
  ASSERT_NE(drop, "");

  mysqld::Instance& restored = servers.Add(2);
  auto report = Replay(restored, *ParseRestorePoint(middle.ToEncoded()));
  ASSERT_OK(report);
  EXPECT_EQ(servers.Ask(restored, "SELECT COUNT(*) FROM d.t"), "50");
  EXPECT_EQ(report->position.ToString(), middle.ToString());
  report = Replay(restored, *ParseRestorePoint("before:" + drop));
  ASSERT_OK(report);
  EXPECT_EQ(servers.Ask(restored, "SELECT COUNT(*) FROM d.t"), "53");
  EXPECT_EQ(servers.Ask(restored, "SELECT COUNT(*) FROM d.kept"), "0");
  report = Replay(restored, *ParseRestorePoint("upto:" + drop));
  ASSERT_OK(report);
  EXPECT_EQ(report->transactions, 1u);
  EXPECT_NE(servers.Ask(restored, "SELECT COUNT(*) FROM d.t").find("doesn't exist"),
            std::string::npos);
  report = Replay(restored, RestorePoint());
  ASSERT_OK(report);
  EXPECT_EQ(servers.Ask(restored, "SELECT COUNT(*) FROM d.kept"), "2");
  gtid::Set all = *servers.Await(server->Position(InTest()));
  EXPECT_EQ(report->position.ToString(), all.ToString());
  // Nothing follows.
  EXPECT_FALSE(Replay(restored, *ParseRestorePoint("upto:" + drop)));
}

TEST_P(ArchiveTest, DamageGapsAndSecondsAreTold) {
  auto archiver = StartArchiver();
  Ask("INSERT INTO d.t (v) VALUES ('early')");
  Caught(*archiver);
  StopArchiver(*archiver);
  int64_t now = std::stoll(Ask("SELECT UNIX_TIMESTAMP()"));
  while (std::stoll(Ask("SELECT UNIX_TIMESTAMP()")) <= now + 1) Ask("DO SLEEP(0.2)");
  archiver = StartArchiver();
  Ask("INSERT INTO d.t (v) VALUES ('late')");
  Caught(*archiver);
  StopArchiver(*archiver);
  mysqld::Instance& restored = servers.Add(2);
  RestorePoint point;
  point.kind = RestorePoint::Kind::kTime;
  point.unix_s = now + 1;
  ASSERT_OK(Replay(restored, point));
  EXPECT_EQ(servers.Ask(restored, "SELECT v FROM d.t"), "early");
  // Nothing says that nothing came after the last transaction.
  point.unix_s = now + 1000;
  auto beyond = ArchiveReader::Open(Kept(), gtid::Set(GetParam()), point);
  ASSERT_FALSE(beyond);
  EXPECT_NE(beyond.error().message().find("nothing shows"), std::string::npos)
      << beyond.error().ToString();
  auto runs = Kept().Runs();
  ASSERT_OK(runs);
  ASSERT_EQ(runs->size(), 2u);
  // The second run's only segment, damaged in its middle.
  std::string path = folder + "/" + Kept().PathOf((*runs)[1].name, 0);
  uint64_t size = std::filesystem::file_size(path);
  std::filesystem::resize_file(path, size - 1);
  auto report = Replay(restored, RestorePoint());
  ASSERT_FALSE(report);
  EXPECT_NE(report.error().message().find((*runs)[1].name), std::string::npos)
      << report.error().ToString();
  // Without the first run the second does not join what an empty server has.
  std::filesystem::remove_all(folder + "/ks/0/archive/" + (*runs)[0].name);
  auto reader = ArchiveReader::Open(Kept(), gtid::Set(GetParam()), RestorePoint());
  ASSERT_FALSE(reader);
  EXPECT_NE(reader.error().message().find("gap"), std::string::npos) << reader.error().ToString();
}

TEST_P(ArchiveTest, SealedSegmentsNeedTheirKey) {
  std::string secret(32, 'k');
  auto archiver = StartArchiver(secret);
  Ask("INSERT INTO d.t (v) VALUES ('hidden words')");
  Caught(*archiver);
  StopArchiver(*archiver);
  auto runs = Kept().Runs();
  ASSERT_OK(runs);
  auto plain = Kept().Read((*runs)[0].name, 0);
  ASSERT_FALSE(plain);
  EXPECT_EQ(plain.error().code(), Code::kPermissionDenied);
  ASSERT_OK(Kept(secret).Read((*runs)[0].name, 0));
}

INSTANTIATE_TEST_SUITE_P(Flavors, ArchiveTest,
                         testing::Values(gtid::Flavor::kMysql, gtid::Flavor::kMariadb),
                         [](const auto& info) {
                           return std::string(gtid::FlavorName(info.param));
                         });

// A run of segments of one transaction each.
void KeepRun(const Archive& archive, const std::string& run, uint64_t first, uint64_t last) {
  auto upto = [](uint64_t number) {
    std::string text = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-" + std::to_string(number);
    return *gtid::Set::Parse(gtid::Flavor::kMysql, text);
  };
  for (uint64_t number = first; number <= last; ++number) {
    Segment segment;
    segment.manifest.run = run;
    segment.manifest.number = number - first;
    segment.manifest.before = upto(number - 1);
    segment.manifest.after = upto(number);
    segment.events = "events";
    ASSERT_OK(archive.Write(segment));
  }
}

TEST(Archive, PruneTakesWhatNoBackupNeeds) {
  std::string folder = testing::TempDir() + "/prune-" + HexEncode(RandomBytes(8));
  std::filesystem::create_directories(folder);
  std::shared_ptr<Storage> storage = std::move(*OpenStorage({"file", folder}));
  Archive archive = *Archive::Of(storage, "ks", "0", "");
  KeepRun(archive, "0000000000001-zone1-0000000101", 2, 5);
  KeepRun(archive, "0000000000002-zone1-0000000102", 6, 9);
  KeepRun(archive, "0000000000003-zone1-0000000101", 10, 12);
  auto at = [](const char* text) { return *gtid::Set::ParseEncoded(text); };
  // A backup in the middle of the second run needs its rest.
  auto removed = archive.Prune(at("MySQL56/3e11fa47-71ca-11e1-9e33-c80aa9429562:1-7"));
  ASSERT_OK(removed);
  EXPECT_EQ(*removed, 1u);
  auto runs = archive.Runs();
  ASSERT_OK(runs);
  ASSERT_EQ(runs->size(), 2u);
  EXPECT_EQ((*runs)[0].segments.size(), 4u);
  // The newest run stays, which says where archiving goes on.
  removed = archive.Prune(at("MySQL56/3e11fa47-71ca-11e1-9e33-c80aa9429562:1-20"));
  ASSERT_OK(removed);
  EXPECT_EQ(*removed, 1u);
  auto position = archive.Position();
  ASSERT_OK(position);
  EXPECT_EQ((*position)->ToString(), "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-12");
  std::filesystem::remove_all(folder);
}

TEST(RestorePoint, IsReadAsPeopleWriteIt) {
  EXPECT_EQ(ParseRestorePoint("before:0-1-5")->ToString(), "just before transaction 0-1-5");
  EXPECT_EQ(ParseRestorePoint("MariaDB/0-1-5")->kind, RestorePoint::Kind::kPosition);
  EXPECT_EQ(ParseRestorePoint("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5")->set.Count(), 5u);
  EXPECT_FALSE(ParseRestorePoint(""));
  EXPECT_FALSE(ParseRestorePoint("before:nonsense"));
}

}  // namespace
}  // namespace paceline::backup
