#include "mysql/server/server_connection.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "io/blocking.h"
#include "io/process.h"
#include "mysql/client/connection.h"
#include "mysql/testing/real_server.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/rows.h"

namespace paceline::mysql {
namespace {

class Users final : public wire::UserStore {
 public:
  std::vector<wire::UserEntry> Find(std::string_view user) const override {
    if (user == "app") return {{.plain = "pw"}};
    if (user == "hashed") return {{.native_hash = wire::NativeHash("pw")}};
    return {};
  }
};

// A server of three statements: what a session above ServerConnection does, in small.
class TinyServer {
 public:
  explicit TinyServer(io::Loop& loop) : loop_(loop) {
    listener_ = *io::Listener::Listen(loop, io::Address::Tcp("127.0.0.1", 0));
    options_.users = &users_;
    options_.rsa_key = *wire::RsaKey::Generate();
  }
  uint16_t port() const { return listener_->port(); }
  wire::ServerHandshakeOptions& options() { return options_; }

  io::Task<void> Run() {
    for (;;) {
      Result<int> accepted = co_await listener_->Accept(Deadline::Never());
      if (!accepted) co_return;
      io::Detach(Serve(*accepted));
    }
  }
  io::Task<bool> Stop() {
    listener_->Close();
    bool left = co_await gate_.Close(Deadline::In(10s));
    co_return left;
  }
  wire::ServerSession last_session;
  std::optional<Error> last_error;
  std::vector<std::string> bodies;
  std::shared_ptr<io::TlsContext> tls;
  std::optional<Error> refuse_with;
  size_t served = 0;  // connections that have ended

 private:
  io::Task<void> Serve(int fd) {
    std::optional<io::Gate::Pass> pass = gate_.Enter();
    if (!pass) co_return;
    ServerConnection connection(std::make_unique<io::Socket>(loop_, fd), 32 << 20);
    Status session = co_await Session(connection);
    if (!session) last_error = session.error();
    ++served;
  }
  io::Task<Status> Session(ServerConnection& connection) {
    if (refuse_with) {
      Status told = co_await connection.Refuse(*refuse_with, Deadline::In(5s));
      co_return told;
    }
    Status shaken = co_await connection.Handshake(options_, tls, Deadline::In(10s));
    if (!shaken) co_return Fail(shaken.error());
    last_session = connection.session();
    for (;;) {
      Result<CommandPacket> packet = co_await connection.ReadCommand(Deadline::In(30s));
      if (!packet) {
        Status flushed = co_await connection.Flush(Deadline::In(5s));
        (void)flushed;
        co_return Fail(packet.error());
      }
      if (packet->command == wire::Command::kQuit) co_return Status();
      if (packet->command == wire::Command::kChangeUser) {
        std::string body(packet->body);
        Status changed = co_await connection.ChangeUser(std::move(body), Deadline::In(5s));
        if (!changed) co_return changed;
        last_session = connection.session();
        continue;
      }
      Answer(connection, *packet);
      Status drained = co_await connection.WaitBelow(1 << 20, Deadline::In(10s));
      if (!drained) co_return drained;
    }
  }

  void Answer(ServerConnection& connection, const CommandPacket& packet) {
    wire::Terminator end;
    end.kind = wire::Terminator::Kind::kEof;
    end.status_flags = wire::kStatusAutocommit;
    if (packet.command != wire::Command::kQuery) return connection.WriteOk();
    Result<wire::QueryCommand> query =
        wire::ParseQuery(packet.body, connection.session().capabilities);
    std::string sql(query ? query->sql : "");
    bodies.push_back(sql.substr(0, 100));
    std::vector<value::Field> fields = {value::MakeField("id", value::Type::kInt64),
                                        value::MakeField("name", value::Type::kVarchar)};
    std::vector<value::Row> rows(2);
    rows[0].Append("1");
    rows[0].Append("ada");
    rows[1].Append("2");
    rows[1].AppendNull();
    if (sql == "select typed") {
      Status written = connection.WriteResult(fields, rows, end);
      EXPECT_TRUE(written.has_value());
    } else if (sql == "select raw") {
      // As a backend of ours sends it, with sequence bytes of its own and rows in pieces.
      std::string columns, packets;
      uint8_t sequence = 100;
      wire::AppendColumns(&columns, {wire::FromField(fields[0]), wire::FromField(fields[1])},
                          &sequence);
      for (const value::Row& row : rows) wire::AppendTextRow(&packets, row.Columns(), &sequence);
      connection.WriteColumns(2, columns, end.status_flags);
      for (char& byte : packets) connection.WriteRows(std::string_view(&byte, 1));
      connection.WriteTerminator(end);
    } else if (sql == "fail") {
      connection.WriteErr(Error::FromMysql(1146, "42S02", "Table 'ks.x' doesn't exist"));
    } else if (sql.starts_with("select @@") || sql.starts_with("set ") || sql.starts_with("SET ")) {
      connection.WriteOk();
    } else {
      wire::Terminator ok;
      ok.affected_rows = sql.size();
      ok.status_flags = wire::kStatusAutocommit;
      connection.WriteTerminator(ok);
    }
  }

  io::Loop& loop_;
  Users users_;
  io::Gate gate_;
  std::unique_ptr<io::Listener> listener_;
  wire::ServerHandshakeOptions options_;
};

class ServerConnectionTest : public ::testing::Test {
 protected:
  ServerConnectionTest() : server_(loop_) {
    loop_.Post([this] { io::Detach(server_.Run()); });
  }
  ~ServerConnectionTest() override { EXPECT_TRUE(Await(server_.Stop())); }
  template <class T>
  T Await(io::Task<T> task) {
    return io::RunUntilDone(loop_, std::move(task));
  }
  ConnectOptions To(std::string user, std::string password) {
    ConnectOptions options;
    options.address = io::Address::Tcp("127.0.0.1", server_.port());
    options.user = std::move(user);
    options.password = std::move(password);
    options.database = "ks@replica";
    return options;
  }
  Result<std::unique_ptr<Connection>> Open(std::string user, std::string password) {
    return Await(Connection::Connect(To(std::move(user), std::move(password)), Deadline::In(10s)));
  }
  io::Loop loop_;
  TinyServer server_;
};

TEST_F(ServerConnectionTest, OurClientAndOurServer) {
  for (std::string user : {"app", "hashed"}) {
    auto connection = Open(user, "pw");
    ASSERT_TRUE(connection.has_value()) << connection.error().ToString();
    EXPECT_EQ(server_.last_session.user, user);
    EXPECT_EQ(server_.last_session.database, "ks@replica");
    for (std::string sql : {"select typed", "select raw"}) {
      auto result = Await((*connection)->Query(sql, Deadline::In(5s)));
      ASSERT_TRUE(result.has_value()) << result.error().ToString();
      ASSERT_EQ(result->rows.size(), 2u);
      EXPECT_EQ(result->Text(0, "name"), "ada");
      EXPECT_EQ(result->Get(1, "name"), std::nullopt);
    }
    auto failed = Await((*connection)->Query("fail", Deadline::In(5s)));
    ASSERT_FALSE(failed.has_value());
    EXPECT_EQ(failed.error().mysql_errno(), 1146);
    auto large = Await((*connection)->Query(std::string(17'000'000, 'x'), Deadline::In(20s)));
    ASSERT_TRUE(large.has_value()) << large.error().ToString();
    EXPECT_EQ(large->end.affected_rows, 17'000'000u);
    Status changed = Await((*connection)->ChangeUser("hashed", "pw", "other", Deadline::In(5s)));
    ASSERT_TRUE(changed.has_value()) << changed.error().ToString();
    EXPECT_EQ(server_.last_session.user, "hashed");
    EXPECT_EQ(server_.last_session.database, "other");
    EXPECT_TRUE(Await((*connection)->Ping(Deadline::In(5s))).has_value());
  }
}

TEST_F(ServerConnectionTest, RefusesWithOneClearError) {
  auto wrong = Open("app", "wrong");
  ASSERT_FALSE(wrong.has_value());
  EXPECT_EQ(wrong.error().mysql_errno(), 1045);
  EXPECT_NE(wrong.error().message().find("'app'@'127.0.0.1' (using password: YES)"),
            std::string::npos);
  auto connection = Open("app", "pw");
  auto too_large = Await((*connection)->Query(std::string(33 << 20, 'x'), Deadline::In(20s)));
  ASSERT_FALSE(too_large.has_value());
  EXPECT_EQ(server_.last_error->code(), Code::kResourceExhausted);
}

TEST_F(ServerConnectionTest, TooManyConnectionsIsSaidInPlaceOfTheGreeting) {
  server_.refuse_with = Error::FromMysql(1040, "08004", "Too many connections");
  auto refused = Open("app", "pw");
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().mysql_errno(), 1040);
  EXPECT_NE(refused.error().message().find("Too many connections"), std::string::npos);
}

io::Task<Result<io::CommandResult>> RunClient(std::vector<std::string> argv) {
  io::ProcessOptions options;
  options.argv = std::move(argv);
  Result<io::CommandResult> result = co_await io::RunCommand(options, Deadline::In(30s));
  co_return result;
}

// The same answers in every dialect, judged by clients that are not ours.
TEST_F(ServerConnectionTest, TheServersOwnClientsReadEveryDialect) {
  using namespace wire;
  int clients = 0;
  for (testing::Flavor flavor : {testing::Flavor::kMysql, testing::Flavor::kMariadb}) {
    std::string client = testing::FindClient(flavor);
    if (client.empty()) continue;
    ++clients;
    std::string extra =
        flavor == testing::Flavor::kMysql ? "--get-server-public-key" : "--skip-ssl";
    for (Capabilities without : {Capabilities{0}, kClientDeprecateEof, kClientSessionTrack,
                                 kClientPluginAuthLenenc, kClientQueryAttributes,
                                 kClientDeprecateEof | kClientSessionTrack | kClientConnectAttrs}) {
      for (std::string user : {"app", "hashed"}) {
        server_.options().capabilities = kServerCapabilities & ~without;
        auto ran = Await(RunClient({client, "--no-defaults", "-h127.0.0.1",
                                    "-P" + std::to_string(server_.port()), "-u" + user, "-ppw",
                                    extra, "-N", "-e", "select typed; select raw"}));
        ASSERT_TRUE(ran.has_value()) << ran.error().ToString();
        EXPECT_EQ(ran->exit.code, 0) << ran->output << " without " << without;
        EXPECT_TRUE(ran->output.ends_with("1\tada\n2\tNULL\n1\tada\n2\tNULL\n"))
            << ran->output << client << " without " << without;
      }
    }
  }
  if (clients == 0) GTEST_SKIP() << "neither mysql nor mariadb on this machine";
}

TEST_F(ServerConnectionTest, ClientsUpgradeToTls) {
  char pattern[] = "/tmp/paceline-wire-XXXXXX";
  ASSERT_NE(mkdtemp(pattern), nullptr);
  std::string directory = pattern;
  auto made = Await(RunClient({"openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj",
                               "/CN=paceline", "-keyout", directory + "/key.pem", "-out",
                               directory + "/cert.pem"}));
  if (!made) GTEST_SKIP() << "no openssl program on this machine";
  io::TlsOptions tls;
  tls.cert_file = directory + "/cert.pem";
  tls.key_file = directory + "/key.pem";
  server_.tls = *io::TlsContext::Server(tls);
  server_.options().require_tls = true;
  EXPECT_EQ(Open("app", "pw").error().mysql_errno(), 3159);
  ConnectOptions options = To("hashed", "pw");
  options.tls = wire::TlsMode::kRequired;
  options.tls_context = *io::TlsContext::Client({});
  auto connection = Await(Connection::Connect(options, Deadline::In(10s)));
  ASSERT_TRUE(connection.has_value()) << connection.error().ToString();
  EXPECT_TRUE(server_.last_session.tls);
  auto result = Await((*connection)->Query("select typed", Deadline::In(5s)));
  EXPECT_EQ(result->Text(0, "name"), "ada");
  std::filesystem::remove_all(directory);
}

io::Task<Status> SendAndHangUp(io::Address address, std::string bytes, Deadline deadline) {
  Result<std::unique_ptr<io::Socket>> socket = co_await io::Connect(address, deadline);
  if (!socket) co_return Fail(socket.error());
  Status sent = co_await (*socket)->WriteAll(bytes, deadline);
  co_return sent;
}
io::Task<bool> UntilIdle(TinyServer* server, size_t served) {
  io::Gate gate;
  while (server->served < served) {
    bool open = co_await io::Sleep(gate, Deadline::In(1ms));
    if (!open) break;
  }
  co_return true;
}

TEST_F(ServerConnectionTest, EveryCutOfALoginEndsInOneError) {
  wire::Login login;
  login.capabilities = wire::kBackendCapabilities;
  login.user = "app";
  login.auth_response = std::string(20, 'r');
  login.plugin = "mysql_native_password";
  std::string bytes;
  uint8_t sequence = 1;
  wire::AppendPacket(&bytes, wire::WriteLogin(login), &sequence);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    server_.last_error.reset();
    size_t served = server_.served;
    Status sent = Await(SendAndHangUp(io::Address::Tcp("127.0.0.1", server_.port()),
                                      bytes.substr(0, cut), Deadline::In(5s)));
    ASSERT_TRUE(sent.has_value());
    Await(UntilIdle(&server_, served + 1));
    ASSERT_TRUE(server_.last_error.has_value());
    EXPECT_EQ(server_.last_error->code(), Code::kUnavailable) << "cut at " << cut;
  }
}

}  // namespace
}  // namespace paceline::mysql
