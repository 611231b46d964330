// An unclean end of a writer loses nothing that was acknowledged, and leaves the file usable.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

#include "base/rng.h"
#include "io/blocking.h"
#include "topo/embedded/embedded_conn.h"
#include "topo/embedded/operations.h"

namespace paceline::topo::embedded {
namespace {

// Writes file after file and tells each acknowledged number through the pipe, until it is killed.
[[noreturn]] void WriteForEver(const std::string& file, int pipe_fd) {
  Database db(file);
  if (!db.Open()) _exit(1);
  for (int32_t i = 0;; ++i) {
    auto made = CreateFile(db, "/r/", "n/" + std::to_string(i), std::string(2000, 'x'));
    if (!made || write(pipe_fd, &i, sizeof(i)) != sizeof(i)) _exit(2);
  }
}

io::Task<bool> CheckAll(io::Loop& loop, std::string file, int32_t last) {
  ConnPtr conn = Open(loop, file, "/r");
  Deadline deadline = Deadline::In(10s);
  Result<std::vector<File>> files = co_await conn->List("n", deadline);
  EXPECT_TRUE(files);
  if (files) {
    EXPECT_GE(files->size(), static_cast<size_t>(last + 1));
    // One more may have been committed and not told.
    EXPECT_LE(files->size(), static_cast<size_t>(last + 2));
  }
  Result<Version> written = co_await conn->Update("n/0", "again", kAnyVersion, deadline);
  EXPECT_TRUE(written);
  co_await conn->Stop();
  co_return true;
}

TEST(EmbeddedCrash, KilledInTheMiddleOfWrites) {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("paceline-crash-" + NewUuid())).string();
  std::filesystem::create_directories(folder);
  for (int round = 0; round < 5; ++round) {
    std::string file = folder + "/" + std::to_string(round) + ".db";
    int fds[2];
    ASSERT_EQ(pipe(fds), 0);
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) WriteForEver(file, fds[1]);
    close(fds[1]);
    int32_t last = -1, number = 0;
    while (last < 30 + round * 7 && read(fds[0], &number, sizeof(number)) == sizeof(number))
      last = number;
    kill(child, SIGKILL);
    while (read(fds[0], &number, sizeof(number)) == sizeof(number)) last = number;
    close(fds[0]);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status));
    io::Loop loop;
    EXPECT_TRUE(io::RunUntilDone(loop, CheckAll(loop, file, last)));
  }
  std::filesystem::remove_all(folder);
}

// Another process stands still inside a write: writes end in time, reads go on.
io::Task<bool> ReadWhileBlocked(io::Loop& loop, std::string file) {
  ConnPtr conn = Open(loop, file, "");
  Deadline deadline = Deadline::In(5s);
  Time start = loop.Now();
  Deadline shortly = Deadline::In(300ms);
  Result<Version> written = co_await conn->Update("a/b", "2", kAnyVersion, shortly);
  EXPECT_FALSE(written);
  if (!written) {
    EXPECT_EQ(written.error().code(), Code::kUnavailable);
  }
  EXPECT_LT(loop.Now() - start, 1s);
  Result<topo::File> read = co_await conn->Get("a/b", deadline);
  EXPECT_TRUE(read);
  if (read) {
    EXPECT_EQ(read->data, "1");
  }
  co_await conn->Stop();
  co_return true;
}

TEST(EmbeddedCrash, AStoppedWriterBlocksWritesOnly) {
  std::string folder =
      (std::filesystem::temp_directory_path() / ("paceline-stop-" + NewUuid())).string();
  std::filesystem::create_directories(folder);
  std::string file = folder + "/t.db";
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    Database db(file);
    if (!db.Open() || !CreateFile(db, "", "a/b", "1")) _exit(1);
    (void)db.Write([&]() -> Status {
      if (write(fds[1], "x", 1) != 1) _exit(1);
      raise(SIGSTOP);
      return {};
    });
    _exit(0);
  }
  char byte;
  ASSERT_EQ(read(fds[0], &byte, 1), 1);
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, WUNTRACED), child);
  ASSERT_TRUE(WIFSTOPPED(status));
  io::Loop loop;
  EXPECT_TRUE(io::RunUntilDone(loop, ReadWhileBlocked(loop, file)));
  kill(child, SIGKILL);
  waitpid(child, &status, 0);
  close(fds[0]);
  close(fds[1]);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace paceline::topo::embedded
