#include "mysqld/testing.h"

#include <pwd.h>
#include <unistd.h>

#include <filesystem>

#include "base/rng.h"
#include "base/strings.h"
#include "io/process.h"
#include "io/testing.h"
#include "mysqld/folder.h"

extern char** environ;

namespace paceline::mysqld {
namespace {

namespace fs = std::filesystem;

std::string ProjectsMysqlRoot() {
  std::string peers = TestServers::Environment("PACELINE_PEERS");
  if (!peers.empty()) return peers + "/mysql97/root";
  for (fs::path folder = fs::current_path(); folder != folder.root_path();
       folder = folder.parent_path()) {
    std::error_code ignored;
    if (fs::exists(folder / ".cache/mysql97/root/bin/mysqld", ignored))
      return folder / ".cache/mysql97/root";
  }
  return TestServers::Environment("VT_MYSQL_ROOT");
}

}  // namespace

std::string TestServers::Environment(std::string_view name) {
  for (char** one = environ; *one != nullptr; ++one) {
    std::string_view text = *one;
    if (text.starts_with(name) && text.substr(name.size()).starts_with('='))
      return std::string(text.substr(name.size() + 1));
  }
  return "";
}

std::string TestUser() {
  if (geteuid() != 0) return "";
  std::string name = TestServers::Environment("PACELINE_TEST_USER");
  if (name.empty()) name = "paceline";
  if (getpwnam(name.c_str()) == nullptr) {
    io::Loop loop;
    io::ProcessOptions command;
    command.argv = {"useradd", "--system",          "--no-create-home",
                    "--shell", "/usr/sbin/nologin", name};
    auto made = io::RunUntilDone(loop, io::RunCommand(command, InTest()));
    EXPECT_TRUE(made && made->exit.code == 0) << "cannot make user " << name;
  }
  return name;
}

std::optional<Programs> TestPrograms(io::Loop& loop, gtid::Flavor flavor) {
  LocateOptions options;
  options.path = TestServers::Environment("PATH");
  options.flavor = flavor;
  options.user = TestUser();
  if (flavor == gtid::Flavor::kMysql) options.mysql_root = ProjectsMysqlRoot();
  auto programs = io::RunUntilDone(loop, Locate(options, InTest()));
  if (!programs) return std::nullopt;
  return *programs;
}

TestServers::TestServers(gtid::Flavor flavor)
    : programs_(TestPrograms(loop, flavor)), user_(TestUser()) {
  root_ = "/tmp/paceline-" + HexEncode(RandomBytes(5));
  auto made = MakeFolder(root_, user_);
  EXPECT_TRUE(made);
}

TestServers::~TestServers() {
  for (auto& instance : instances_) {
    Status killed = Await(instance->Kill(InTest()));
    EXPECT_TRUE(killed) << killed.error().ToString();
  }
  instances_.clear();
  [[maybe_unused]] Status removed = RemoveTree(root_);
}

InstanceOptions TestServers::Options(uint32_t uid) {
  InstanceOptions options;
  options.config.layout = Layout::ForTablet(root_, uid);
  options.config.port = io::FreePortForTest();
  options.config.server_id = uid;
  options.config.small = true;
  options.programs = *programs_;
  options.user = user_;
  options.template_dir = root_ + "/template";
  return options;
}

Instance& TestServers::Add(uint32_t uid) {
  instances_.push_back(std::make_unique<Instance>(loop, Options(uid)));
  Instance& instance = *instances_.back();
  Status made = Await(instance.Init(InTest(240s)));
  EXPECT_TRUE(made) << made.error().ToString();
  Status started = Await(instance.Start({}, InTest(240s)));
  EXPECT_TRUE(started) << started.error().ToString();
  return instance;
}

std::string TestServers::Ask(Instance& instance, std::string sql) {
  auto result = Await(instance.admin().Query(std::move(sql), InTest()));
  if (!result) return result.error().ToString();
  return result->Text(0, size_t{0});
}

bool TestServers::Until(std::function<bool()> done) {
  struct Wait {
    static io::Task<bool> Run(std::function<bool()> done) {
      io::Gate gate;
      Deadline end = Deadline::In(20s);
      while (!done()) {
        if (end.Passed(SystemClock().Now())) co_return false;
        Deadline pause = Deadline::In(2ms);
        [[maybe_unused]] bool slept = co_await io::Sleep(gate, pause);
      }
      co_return true;
    }
  };
  return Await(Wait::Run(std::move(done)));
}

}  // namespace paceline::mysqld
