#include "vttablet/manager/disk_probe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "io/blocking.h"
#include "io/sleep.h"

namespace paceline::vttablet {
namespace {

using namespace std::chrono_literals;

class DiskProbeTest : public testing::Test {
 protected:
  DiskProbeTest() { std::filesystem::create_directories(folder_); }
  // A write that the probe has left behind may still make a file.
  ~DiskProbeTest() override {
    std::error_code error;
    for (int i = 0; i < 500 && std::filesystem::exists(folder_); ++i) {
      std::filesystem::remove_all(folder_, error);
      if (error) io::RunUntilDone(loop_, Pause());
    }
  }
  static io::Task<bool> Pause() {
    co_await io::SleepUntil(Deadline::In(10ms));
    co_return true;
  }

  // Until the probe's error has these words; "": none. False: it took too long.
  io::Task<bool> Becomes(std::string words) {
    Deadline limit = Deadline::In(20s);
    auto so = [&] {
      return words.empty() ? probe_.Error().empty()
                           : probe_.Error().find(words) != std::string::npos;
    };
    while (!so() && !limit.Passed(loop_.Now())) {
      bool open = co_await io::Sleep(gate_, Deadline::In(10ms));
      if (!open) co_return false;
    }
    co_return so();
  }
  // The probe beside `body`, which begins once the loop runs.
  io::Task<bool> Beside(io::Task<void> body) {
    io::Detach(DiskProbe::Loop(probe_, gate_));
    co_await body;
    bool left = co_await gate_.Close(Deadline::In(5s));
    co_return left;
  }
  void Run(io::Task<void> body) { EXPECT_TRUE(io::RunUntilDone(loop_, Beside(std::move(body)))); }

  io::Task<void> FailAndMend() {
    while (!std::filesystem::exists(file_)) {
      bool open = co_await io::Sleep(gate_, Deadline::In(10ms));
      if (!open) co_return;
    }
    EXPECT_EQ(probe_.Error(), "");
    std::filesystem::create_directory(file_ + ".new");  // where it would write first
    bool failed = co_await Becomes("takes no writes: cannot create");
    EXPECT_TRUE(failed) << probe_.Error();
    EXPECT_FALSE(probe_.full());
    std::filesystem::remove(file_ + ".new");
    bool mended = co_await Becomes("");
    EXPECT_TRUE(mended) << probe_.Error();
    EXPECT_EQ(changes_, 2);
    EXPECT_GT(space_.bytes, 0u);
    EXPECT_LE(space_.free, space_.bytes);
  }
  io::Task<void> Fill() {
    bool full = co_await Becomes("is full: make room, or grow the volume (cannot");
    EXPECT_TRUE(full) << probe_.Error();
    EXPECT_TRUE(probe_.full());
  }
  io::Task<void> StallAndMend() {
    bool stalled = co_await Becomes("stalled");
    EXPECT_TRUE(stalled) << probe_.Error();
    std::filesystem::rename(file_ + ".new", folder_ + "/pipe");  // the next write finds a file
    int reader = open((folder_ + "/pipe").c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    bool mended = co_await Becomes("");
    EXPECT_TRUE(mended) << probe_.Error();
    close(reader);
  }

  // Of each test its own, for the same reason.
  std::string folder_ = testing::TempDir() + "disk_probe." + std::to_string(getpid()) + "." +
                        testing::UnitTest::GetInstance()->current_test_info()->name();
  std::string file_ = folder_ + "/probe";
  io::Loop loop_;
  io::Gate gate_;
  int changes_ = 0;
  DiskSpace space_;
  DiskProbe probe_{loop_,
                   {file_, 20ms, 100ms, [this](const DiskSpace& space) { space_ = space; }},
                   [this] { ++changes_; }};
};

TEST_F(DiskProbeTest, AWriteThatFailsIsTold) { Run(FailAndMend()); }

TEST_F(DiskProbeTest, ADiskIsFullAlsoWhereBytesAreFree) {
  std::filesystem::create_symlink("/dev/full", file_ + ".new");  // ENOSPC, as without inodes
  Run(Fill());
}

TEST_F(DiskProbeTest, AWriteThatDoesNotEndIsTold) {
  // Opening a pipe waits for its reader.
  ASSERT_EQ(mkfifo((file_ + ".new").c_str(), 0600), 0);
  Run(StallAndMend());
}

}  // namespace
}  // namespace paceline::vttablet
