// mysql/testing/real_server.h - a real mysqld or mariadbd for tests: own data directory, loopback
// only, gone with the test. Found through PACELINE_MYSQLD and PACELINE_MARIADBD, then
// $PACELINE_PEERS/mysql97, the repository's .cache and the usual places. Threads: the test's.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "io/process.h"
#include "mysql/client/connection.h"

namespace paceline::mysql::testing {

enum class Flavor { kMysql, kMariadb };

// The flavor's own command line client; empty where there is none.
std::string FindClient(Flavor flavor);

class RealServer {
 public:
  // Started once per process. Null where the machine has no such server; aborts the test where it
  // has one that does not start.
  static RealServer* Get(Flavor flavor);
  ~RealServer();

  Flavor flavor() const { return flavor_; }
  // Over the unix socket, as the superuser without password.
  ConnectOptions Root() const;
  ConnectOptions ByTcp(std::string user, std::string password) const;
  ConnectOptions BySocket(std::string user, std::string password) const;

 private:
  explicit RealServer(Flavor flavor) : flavor_(flavor) {}
  Status Start(const std::string& program);

  Flavor flavor_;
  std::string directory_;
  uint16_t port_ = 0;
  io::Loop loop_;
  std::unique_ptr<io::Process> process_;
};

}  // namespace paceline::mysql::testing
