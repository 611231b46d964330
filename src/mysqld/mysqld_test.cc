#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/strings.h"
#include "io/blocking.h"
#include "mysqld/config.h"
#include "mysqld/diagnose.h"
#include "mysqld/replication.h"
#include "mysqld/users.h"

namespace paceline::mysqld {
namespace {

TEST(Version, ReadsBannersAndTexts) {
  struct {
    const char *text, *want;
  } kCases[] = {
      {"/x/mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))", "MySQL 9.7.4"},
      {"mysqld  Ver 8.4.3 for Linux on x86_64 (MySQL Community Server - GPL)", "MySQL 8.4.3"},
      {"mysqld  Ver 8.0.40-31 for Linux on x86_64 (Percona Server (GPL))", "MySQL 8.0.40"},
      {"mysqld  Ver 26.7.0 for Linux on x86_64", "MySQL 26.7.0"},
      {"mysqld  Ver 26.7 for Linux on x86_64", "MySQL 26.7.0"},
      {"mariadbd  Ver 10.11.19-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)",
       "MariaDB 10.11.19"},
      {"mariadbd  Ver 11.8.2-MariaDB for Linux", "MariaDB 11.8.2"},
  };
  for (auto& one : kCases) {
    auto version = ParseVersionBanner(one.text);
    ASSERT_TRUE(version) << one.text << ": " << version.error().message();
    EXPECT_EQ(version->ToString(), one.want);
  }
  EXPECT_EQ(ParseVersionText("5.5.5-10.11.6-MariaDB-log")->ToString(), "MariaDB 10.11.6");
  EXPECT_EQ(ParseVersionText("8.0.40-0ubuntu1")->ToString(), "MySQL 8.0.40");
}

TEST(Version, RefusesOldOnesByName) {
  for (const char* text : {"5.7.44", "8.0.25", "10.6.18-MariaDB", "5.5.5-10.5.1-MariaDB"}) {
    auto version = ParseVersionText(text);
    ASSERT_FALSE(version) << text;
    EXPECT_EQ(version.error().code(), Code::kFailedPrecondition);
    EXPECT_NE(version.error().message().find("or later"), std::string::npos);
  }
  EXPECT_EQ(ParseVersionBanner("sh: not found").error().code(), Code::kInvalidArgument);
  EXPECT_EQ(ParseVersionText("abc").error().code(), Code::kInvalidArgument);
}

Programs ProgramsOf(const char* version) {
  Programs programs;
  programs.server = "/usr/sbin/mysqld";
  programs.basedir = "/usr";
  programs.version = *ParseVersionText(version);
  return programs;
}

TEST(Config, HasWhatDurabilityStandsOn) {
  Config config;
  config.layout = Layout::ForTablet("/vt", 100);
  config.server_id = 7;
  config.report_host = "10.0.0.1";
  config.extra = "max_connections = 9";
  EXPECT_EQ(config.layout.dir, "/vt/vt_0000000100");
  for (const char* version : {"8.0.40", "8.4.3", "9.7.0", "10.11.6-MariaDB"}) {
    std::string text = MyCnf(config, ProgramsOf(version));
    EXPECT_EQ(ReadOption(text, "innodb_flush_log_at_trx_commit"), "1");
    EXPECT_EQ(ReadOption(text, "sync-binlog"), "1");
    EXPECT_EQ(ReadOption(text, "read_only"), "ON");
    EXPECT_EQ(ReadOption(text, "relay_log_recovery"), "OFF");
    EXPECT_EQ(ReadOption(text, "bind_address"), "127.0.0.1");
    EXPECT_EQ(ReadOption(text, "server_id"), "7");
    EXPECT_EQ(ReadOption(text, "max_connections"), "9") << "EXTRA_MY_CNF wins";
    EXPECT_EQ(ReadOption(text, "socket"), "/vt/vt_0000000100/mysql.sock");
    EXPECT_THAT(text, testing::HasSubstr("AFTER_SYNC"));
  }
  EXPECT_EQ(ReadOption(MyCnf(config, ProgramsOf("10.11.6-MariaDB")), "gtid_strict_mode"), "ON");
  EXPECT_EQ(ReadOption(MyCnf(config, ProgramsOf("8.4.3")), "super_read_only"), "ON");
}

TEST(Config, RefusesWhatCannotWork) {
  Config config;
  config.layout = Layout::ForTablet("/" + std::string(120, 'x'), 1);
  EXPECT_FALSE(Validate(config)) << "server id 0";
  config.server_id = 1;
  ASSERT_FALSE(Validate(config));
  EXPECT_THAT(Validate(config).error().message(), testing::HasSubstr("shorter"));
  config.socket = "/run/m.sock";
  EXPECT_TRUE(Validate(config));
  EXPECT_EQ(ReadExtraFiles("/nowhere/extra.cnf").error().code(), Code::kNotFound);
}

TEST(Users, PasswordsAreQuotedAndRootGoes) {
  Users users;
  users.with_bench = true;
  users.bench.password = "it's";
  std::string sql = InitSql(users, MysqlFlavor());
  EXPECT_THAT(sql, testing::HasSubstr("CREATE USER 'vt_dba'@'localhost'"));
  EXPECT_THAT(sql, testing::HasSubstr("CREATE USER 'vt_repl'@'%'"));
  EXPECT_THAT(sql, testing::HasSubstr("it\\'s"));
  EXPECT_THAT(sql, testing::HasSubstr("DROP USER IF EXISTS 'root'@'localhost'"));
  EXPECT_THAT(sql, testing::Not(testing::HasSubstr("SUPER")));
  EXPECT_THAT(InitSql(users, MariadbFlavor()),
              testing::Not(testing::HasSubstr("SESSION_VARIABLES_ADMIN")));
  // What an account may do follows from what it is for, not from its name.
  users.repl.name = "copier";
  users.allprivs.name = "operator";
  users.filtered.name = "streamer";
  sql = InitSql(users, MysqlFlavor());
  EXPECT_THAT(sql, testing::HasSubstr("BACKUP_ADMIN ON *.* TO 'copier'@'%'"));
  EXPECT_THAT(sql, testing::HasSubstr("SESSION_VARIABLES_ADMIN ON *.* TO 'operator'@'localhost'"));
  sql = InitSql(users, MariadbFlavor());
  EXPECT_THAT(sql, testing::HasSubstr("SLAVE MONITOR ON *.* TO 'operator'@'localhost'"));
  EXPECT_THAT(sql, testing::HasSubstr("SLAVE MONITOR ON *.* TO 'streamer'@'localhost'"));
}

TEST(Diagnose, NamesTheCause) {
  DiagnoseContext context{"mysqld of /vt/vt_1 did not start (exit code 1)", "/vt/vt_1/error.log",
                          3306};
  struct {
    const char* log;
    Code code;
    const char* has;
  } kCases[] = {
      {"x [ERROR] [MY-010262] [Server] Can't start server: Bind on TCP/IP port: Address already in "
       "use\n",
       Code::kAlreadyExists, "port 3306 is in use"},
      {"a [Note] fine\nb [ERROR] InnoDB: Error number 28 means 'No space left on device'\n",
       Code::kResourceExhausted, "full"},
      {"b [ERROR] InnoDB: Unable to lock ./ibdata1, error: 11\n", Code::kAlreadyExists,
       "another mysqld"},
      {"b [ERROR] [Server] unknown variable 'x=1'.\nc [ERROR] Aborting\n", Code::kInvalidArgument,
       "x=1"},
      {"b [ERROR] Something else\nc [ERROR] Aborting\n", Code::kInternal, "Something else"},
      {"", Code::kInternal, "error.log"},
  };
  for (auto& one : kCases) {
    Error error = Diagnose(one.log, context);
    EXPECT_EQ(error.code(), one.code) << error.message();
    EXPECT_THAT(error.message(), testing::HasSubstr(one.has));
    EXPECT_EQ(error.message().find('\n'), std::string::npos);
  }
}

TEST(Diagnose, PointsToNoLogThatIsNotThere) {
  EXPECT_EQ(Diagnose("", {"it failed", "", 0}).message(), "it failed");
  EXPECT_EQ(Diagnose("x [ERROR] why\n", {"it failed", "", 0}).message(), "it failed: why");
}

TEST(CheckPathFor, RefusesNamesThatAServerCannotWorkWith) {
  const Programs mysql = ProgramsOf("9.7.0"), mariadb = ProgramsOf("10.11.6-MariaDB");
  EXPECT_TRUE(CheckPathFor({"/vt/with a blank"}, mysql));
  EXPECT_FALSE(CheckPathFor({"/vt/with a blank"}, mariadb));
  EXPECT_TRUE(CheckPathFor({"/vt/plain-1_a"}, mariadb));
  for (const char* name : {"/vt/a#b", "/vt/a\"b", "/vt/a'b", "/vt/a\\b", "/vt/a\nb"})
    EXPECT_FALSE(CheckPathFor({name}, mysql)) << name;
}

std::string WhyNotLocated(LocateOptions options) {
  io::Loop loop;
  auto found = io::RunUntilDone(loop, Locate(std::move(options), Deadline::In(10s)));
  return found ? "found" : found.error().message();
}

TEST(Locate, SaysWhatItFoundInstead) {
  const std::string folder = "/tmp/paceline-locate-" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  const std::string program = folder + "/mysqld";
  std::ofstream(program) << "#!/bin/sh\necho 'mysqld  Ver 10.11.6-MariaDB for Linux'\n";
  std::filesystem::permissions(program, std::filesystem::perms::owner_all);
  EXPECT_THAT(WhyNotLocated({.program = program, .flavor = gtid::Flavor::kMysql}),
              testing::AllOf(testing::HasSubstr(program), testing::HasSubstr("MariaDB 10.11.6"),
                             testing::HasSubstr("mysqld (MySQL) was asked for")));
  EXPECT_THAT(WhyNotLocated({.program = folder + "/none"}),
              testing::HasSubstr("cannot execute " + folder + "/none"));
  std::filesystem::remove_all(folder);
}

mysql::QueryResult OneRow(std::vector<std::pair<std::string, std::string>> cells) {
  mysql::QueryResult result;
  value::Row row;
  for (auto& [name, text] : cells) {
    mysql::wire::ColumnDefinition column;
    column.name = name;
    result.columns.push_back(column);
    row.Append(text);
  }
  result.rows.push_back(row);
  return result;
}

// Answers from a list and keeps what it was asked.
class ScriptedAdmin final : public Admin {
 public:
  io::Task<Result<mysql::QueryResult>> Query(std::string sql, Deadline) override {
    asked.push_back(sql);
    if (answers.empty()) co_return mysql::QueryResult();
    Result<mysql::QueryResult> answer = answers.front();
    answers.erase(answers.begin());
    co_return answer;
  }
  io::Task<Status> Run(std::vector<std::string> statements, Deadline) override {
    asked.insert(asked.end(), statements.begin(), statements.end());
    co_return Status();
  }
  io::Task<Result<std::vector<mysql::QueryResult>>> QueryAll(std::string sql, Deadline) override {
    asked.push_back(sql);
    co_return std::vector<mysql::QueryResult>();
  }
  std::vector<Result<mysql::QueryResult>> answers;
  std::vector<std::string> asked;
};

TEST(Replication, ReadsMariadbPositionAsASetOfServers) {
  io::Loop loop;
  ScriptedAdmin admin;
  Replication verbs(admin, *ParseVersionText("10.11.6-MariaDB"));
  admin.answers.push_back(OneRow({{"a", "0-1-5,0-2-7"}, {"b", "0-3-9"}}));
  auto position = io::RunUntilDone(loop, verbs.Position(Deadline::In(1s)));
  ASSERT_TRUE(position);
  EXPECT_EQ(position->ToString(), "0-1-5,0-2-7,0-3-9");
}

TEST(Replication, WordsOfEachVersion) {
  io::Loop loop;
  ScriptedAdmin admin;
  SourceOptions source;
  source.host = "db";
  source.port = 3306;
  Replication mysql(admin, *ParseVersionText("8.0.40"));
  ASSERT_TRUE(io::RunUntilDone(loop, mysql.SetSource(source, Deadline::In(1s))));
  EXPECT_THAT(admin.asked.back(), testing::HasSubstr("SOURCE_AUTO_POSITION = 1"));
  Replication mariadb(admin, *ParseVersionText("11.4.2-MariaDB"));
  ASSERT_TRUE(io::RunUntilDone(loop, mariadb.SetSource(source, Deadline::In(1s))));
  EXPECT_THAT(admin.asked.back(), testing::HasSubstr("MASTER_USE_GTID = slave_pos"));
  EXPECT_EQ(MysqlFlavor().ForgetHistory(*ParseVersionText("8.0.40"))[0], "RESET MASTER");
  EXPECT_EQ(MysqlFlavor().ForgetHistory(*ParseVersionText("9.7.4"))[0],
            "RESET BINARY LOGS AND GTIDS");
}

}  // namespace
}  // namespace paceline::mysqld
