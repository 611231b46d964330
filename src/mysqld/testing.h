// mysqld/testing.h - real servers for tests: found on this machine, in a folder that goes away, as
// an unprivileged user, every process ended by its pid.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "io/blocking.h"
#include "mysqld/instance.h"
#include "mysqld/replication.h"

namespace paceline::mysqld {

// The programs of `flavor`: MySQL of PACELINE_PEERS (tools/mysql97; else .cache above the working
// directory), then VT_MYSQL_ROOT and PATH. Empty where there is none: the test is skipped.
std::optional<Programs> TestPrograms(io::Loop& loop, gtid::Flavor flavor);
// "" when we are not root; else a user of this machine, made when it is missing (PACELINE_TEST_USER
// names another).
std::string TestUser();

// A folder in /tmp that TestUser can enter, and servers in it.
class TestServers {
 public:
  // Only for tests of rooms that use this fixture: a variable of the environment, "" when unset.
  static std::string Environment(std::string_view name);
  explicit TestServers(gtid::Flavor flavor);
  // Kills every mysqld it made and removes the folder.
  ~TestServers();
  bool available() const { return programs_.has_value(); }
  InstanceOptions Options(uint32_t uid);
  // Made and started. REQUIRES: available().
  Instance& Add(uint32_t uid);
  template <class T>
  T Await(io::Task<T> task) {
    return io::RunUntilDone(loop, std::move(task));
  }
  // The single value of a query; the error's text when it fails.
  std::string Ask(Instance& instance, std::string sql);
  // Pumps the loop for posted and timed work until `done` says so, 20 s at most.
  bool Until(std::function<bool()> done);
  Programs& programs() { return *programs_; }
  const std::string& root() const { return root_; }

  io::Loop loop;

 private:
  std::optional<Programs> programs_;
  std::string user_, root_;
  std::vector<std::unique_ptr<Instance>> instances_;
};

inline Deadline InTest(Duration in = 60s) { return Deadline::In(in); }
#define ASSERT_OK(expression)                                                     \
  do {                                                                            \
    auto&& result_of_expression = (expression);                                   \
    ASSERT_TRUE(result_of_expression) << result_of_expression.error().ToString(); \
  } while (false)

}  // namespace paceline::mysqld
