// vtgate/mysql_front.h - serves MySQL clients on one loop: login, commands, prepared statements;
// the session does the rest. Threads: its loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "io/sync.h"
#include "io/tls.h"
#include "mysql/server/server_connection.h"
#include "vtgate/client_sink.h"
#include "vtgate/session.h"
#include "vtgate/session_table.h"

namespace paceline::vtgate {

struct MysqlFrontOptions {
  std::string server_version;  // told to clients; empty: that of the servers behind
  bool accept_all = false;     // --mysql-auth-server-impl none
  std::shared_ptr<const mysql::wire::UserStore> users;
  std::shared_ptr<const mysql::wire::RsaKey> rsa_key;
  std::shared_ptr<io::TlsContext> tls;
  bool require_tls = false;
  bool proxy_protocol =
      false;  // every TCP client comes through a load balancer that says who it is
  Duration handshake_timeout = 10s;
  Duration idle_timeout = 8h;  // wait_timeout of mysqld
  size_t most_connections = 10'000;
  size_t most_cursor_bytes = 64 << 20;  // rows of an open cursor, for each prepared statement
};

class MysqlFront {
 public:
  MysqlFront(io::Loop& loop, GateContext& gate, SessionTable& table,
             std::shared_ptr<const MysqlFrontOptions> options);
  // Takes a connected descriptor; call on the loop.
  void Serve(int fd);
  // Ends logins and sessions between transactions at once, the rest at the deadline.
  io::Task<void> Stop(Deadline deadline);
  void SetOptions(std::shared_ptr<const MysqlFrontOptions> options) {
    options_ = std::move(options);
  }
  const std::string& ServerVersion() const;
  // No flag tells the version, and no server has told it yet.
  bool VersionIsGuessed() const;
  size_t connections() const { return gate_pass_.count(); }

 private:
  class Client;
  static io::Task<void> TurnAway(io::Gate::Pass pass, std::unique_ptr<io::Socket> socket);
  static io::Task<void> Run(MysqlFront& front, io::Gate::Pass pass,
                            std::unique_ptr<io::Socket> socket);

  io::Loop& loop_;
  GateContext& gate_;
  SessionTable& table_;
  std::shared_ptr<const MysqlFrontOptions> options_;
  // By connection id, from accepting to closing. Shared with what SessionTable posts here, which
  // may come after the end.
  using Clients = std::map<uint64_t, Client*>;
  std::shared_ptr<Clients> clients_ = std::make_shared<Clients>();
  io::Gate gate_pass_;
  Time began_ = loop_.Now();
};

}  // namespace paceline::vtgate
