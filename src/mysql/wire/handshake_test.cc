#include <gtest/gtest.h>

#include "base/rng.h"
#include "base/strings.h"
#include "mysql/wire/client_handshake.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/packet_walk.h"
#include "mysql/wire/server_handshake.h"

namespace paceline::mysql::wire {
namespace {

class Users final : public UserStore {
 public:
  std::vector<UserEntry> Find(std::string_view user) const override {
    if (user == "plain") return {{.plain = "pw", .groups = {"readers"}, .user_data = "Plain"}};
    if (user == "hashed") return {{.native_hash = NativeHash("pw")}};
    if (user == "sha2") return {{.sha2_hash = CachingSha2Hash("pw")}};
    if (user == "open") return {{.plain = ""}};
    if (user == "rotating") return {{.plain = "old"}, {.plain = "pw"}};
    if (user == "local") return {{.plain = "pw", .local_only = true}};
    return {};
  }
};
const Users kUsers;

std::shared_ptr<const RsaKey> TestKey() {
  static const std::shared_ptr<const RsaKey> key = *RsaKey::Generate();
  return key;
}

struct Outcome {
  bool ok = false;
  bool tls = false;
  std::optional<Error> client_error, server_error;
  ServerSession session;
  int round_trips = 0;
};

// Lets both machines talk; `wire` may change or cut what goes over.
Outcome Talk(ClientHandshakeOptions client_options, ServerHandshakeOptions server_options) {
  ServerHandshake server(server_options);
  ClientHandshake client(client_options);
  Outcome outcome;
  ServerHandshake::Step server_step = server.Start();
  ClientHandshake::Step client_step = ClientHandshake::Step::kRead;
  for (int i = 0; i < 20; ++i) {
    ++outcome.round_trips;
    std::string to_client = server.TakeOutput();
    PacketWalk server_packets(to_client);
    std::string_view body;
    while (client_step == ClientHandshake::Step::kRead && server_packets.Next(&body)) {
      client_step = client.OnPacket(body, server_packets.sequence());
    }
    if (client_step == ClientHandshake::Step::kFailed) outcome.client_error = client.error();
    if (server_step == ServerHandshake::Step::kFailed) outcome.server_error = server.error();
    if (client_step != ClientHandshake::Step::kRead &&
        client_step != ClientHandshake::Step::kStartTls)
      break;
    if (server_step == ServerHandshake::Step::kFailed) break;
    std::string to_server = client.TakeOutput();
    PacketWalk client_packets(to_server);
    while (client_packets.Next(&body))
      server_step = server.OnPacket(body, client_packets.sequence());
    if (server_step == ServerHandshake::Step::kStartTls) {
      EXPECT_EQ(client_step, ClientHandshake::Step::kStartTls);
      outcome.tls = true;
      server.OnTls();
      server_step = ServerHandshake::Step::kRead;
      client_step = client.OnTls();
      std::string login = client.TakeOutput();
      PacketWalk walk(login);
      while (walk.Next(&body)) server_step = server.OnPacket(body, walk.sequence());
    }
  }
  outcome.ok =
      client_step == ClientHandshake::Step::kDone && server_step == ServerHandshake::Step::kDone;
  if (outcome.ok) outcome.session = server.session();
  return outcome;
}

ServerHandshakeOptions ServerFor(std::string_view plugin) {
  ServerHandshakeOptions options;
  options.users = &kUsers;
  options.default_plugin = plugin;
  options.rsa_key = TestKey();
  return options;
}

TEST(Handshake, EveryUserByEveryPluginOverEveryTransport) {
  for (std::string_view plugin : {kNativePlugin, kCachingSha2Plugin, kClearPlugin}) {
    for (std::string_view user : {"plain", "hashed", "sha2", "rotating"}) {
      for (int transport = 0; transport < 3; ++transport) {
        for (std::string password : {"pw", "wrong", ""}) {
          ServerHandshakeOptions server = ServerFor(plugin);
          ClientHandshakeOptions client;
          client.user = user;
          client.password = password;
          client.database = "test_keyspace@replica";
          server.unix_socket = client.unix_socket = transport == 1;
          server.tls_available = transport == 2;
          if (transport == 2) client.tls = TlsMode::kRequired;
          Outcome outcome = Talk(client, server);
          SCOPED_TRACE(fmt::format("{} {} {} '{}'", plugin, user, transport, password));
          EXPECT_EQ(outcome.ok, password == "pw");
          EXPECT_EQ(outcome.tls, transport == 2);
          if (outcome.ok) {
            EXPECT_EQ(outcome.session.user, user);
            EXPECT_EQ(outcome.session.database, "test_keyspace@replica");
            EXPECT_EQ(outcome.session.attributes.at(0).second, "paceline");
            EXPECT_TRUE(outcome.session.capabilities & kClientDeprecateEof);
            EXPECT_FALSE(outcome.session.capabilities & kClientFoundRows);
          } else {
            ASSERT_TRUE(outcome.client_error.has_value());
            EXPECT_EQ(outcome.client_error->mysql_errno(), 1045);
            EXPECT_EQ(outcome.client_error->sqlstate(), "28000");
            EXPECT_EQ(outcome.server_error->code(), Code::kUnauthenticated);
          }
        }
      }
    }
  }
}

TEST(Handshake, EmptyPasswordsUnknownUsersLocalUsers) {
  ClientHandshakeOptions client;
  client.user = "open";
  EXPECT_TRUE(Talk(client, ServerFor(kCachingSha2Plugin)).ok);
  EXPECT_TRUE(Talk(client, ServerFor(kNativePlugin)).ok);
  client.password = "not empty";
  EXPECT_FALSE(Talk(client, ServerFor(kCachingSha2Plugin)).ok);
  EXPECT_FALSE(Talk(client, ServerFor(kNativePlugin)).ok);
  client.user = "nobody";
  client.password = "";
  EXPECT_FALSE(Talk(client, ServerFor(kNativePlugin)).ok);
  client.user = "local";
  client.password = "pw";
  EXPECT_FALSE(Talk(client, ServerFor(kCachingSha2Plugin)).ok);
  ServerHandshakeOptions local = ServerFor(kCachingSha2Plugin);
  local.unix_socket = true;
  EXPECT_TRUE(Talk(client, local).ok);
}

TEST(Handshake, NoneLetsEverybodyIn) {
  for (std::string_view plugin : {kNativePlugin, kCachingSha2Plugin}) {
    for (std::string password : {"", "anything"}) {
      ServerHandshakeOptions server = ServerFor(plugin);
      server.accept_all = true;
      ClientHandshakeOptions client;
      client.user = "whoever";
      client.password = password;
      EXPECT_TRUE(Talk(client, server).ok);
    }
  }
}

// libmariadb under several threads that log in at once: seen on the wire.
TEST(Handshake, NoneAsksAnewForAnUnknownPlugin) {
  ServerHandshakeOptions options = ServerFor(kCachingSha2Plugin);
  options.accept_all = true;
  ServerHandshake server(options);
  EXPECT_EQ(server.Start(), ServerHandshake::Step::kRead);
  Login login;
  login.capabilities = kServerCapabilities;
  login.user = "root";
  login.plugin = "dummy_fallback_auth";
  EXPECT_EQ(server.OnPacket(WriteLogin(login), 1), ServerHandshake::Step::kRead);
  EXPECT_EQ(server.OnPacket("", 3), ServerHandshake::Step::kDone);
}

TEST(Handshake, GroupsAndUserDataComeFromTheStore) {
  ClientHandshakeOptions client;
  client.user = "plain";
  client.password = "pw";
  Outcome outcome = Talk(client, ServerFor(kCachingSha2Plugin));
  ASSERT_TRUE(outcome.ok);
  EXPECT_EQ(outcome.session.groups, std::vector<std::string>{"readers"});
  EXPECT_EQ(outcome.session.user_data, "Plain");
}

TEST(Handshake, TlsCanBeRequiredByEitherSide) {
  ClientHandshakeOptions client;
  client.user = "plain";
  client.password = "pw";
  ServerHandshakeOptions server = ServerFor(kCachingSha2Plugin);
  server.require_tls = true;
  EXPECT_EQ(Talk(client, server).client_error->mysql_errno(), 3159);
  client.tls = TlsMode::kRequired;
  server.require_tls = false;
  EXPECT_EQ(Talk(client, server).client_error->code(), Code::kUnauthenticated);
  client.tls = TlsMode::kPreferred;
  EXPECT_TRUE(Talk(client, server).ok);
}

TEST(Handshake, ServerWithoutDeprecateEofIsRefused) {
  ClientHandshakeOptions client;
  client.user = "open";
  ServerHandshakeOptions server = ServerFor(kNativePlugin);
  server.capabilities &= ~kClientDeprecateEof;
  EXPECT_EQ(Talk(client, server).client_error->code(), Code::kFailedPrecondition);
}

TEST(Handshake, ChangeUser) {
  ServerHandshakeOptions options = ServerFor(kCachingSha2Plugin);
  options.unix_socket = true;
  ClientHandshakeOptions first_options;
  first_options.user = "open";
  first_options.unix_socket = true;
  ServerHandshake server(options);
  ClientHandshake first(first_options);
  server.Start();
  std::string bytes = server.TakeOutput();
  first.OnPacket(std::string_view(bytes).substr(4), 0);
  bytes = first.TakeOutput();
  ASSERT_EQ(server.OnPacket(std::string_view(bytes).substr(4), 1), ServerHandshake::Step::kDone);
  for (std::string password : {"pw", "bad"}) {
    ClientHandshakeOptions second_options = first_options;
    second_options.user = "hashed";
    second_options.password = password;
    second_options.database = "ks";
    ClientHandshake second(second_options);
    ServerHandshake again(options);
    ClientHandshake::Step client_step = second.StartChangeUser(first);
    ServerHandshake::Step server_step = ServerHandshake::Step::kRead;
    bool started = false;
    for (int i = 0; i < 10 && client_step == ClientHandshake::Step::kRead; ++i) {
      bytes = second.TakeOutput();
      PacketWalk to_server(bytes);
      std::string_view body;
      while (to_server.Next(&body)) {
        server_step = started ? again.OnPacket(body, to_server.sequence())
                              : again.StartChangeUser(body, to_server.sequence(), server.session());
        started = true;
      }
      std::string answer = again.TakeOutput();
      PacketWalk to_client(answer);
      while (to_client.Next(&body)) client_step = second.OnPacket(body, to_client.sequence());
    }
    EXPECT_EQ(client_step == ClientHandshake::Step::kDone, password == "pw");
    EXPECT_EQ(server_step == ServerHandshake::Step::kDone, password == "pw");
    if (password == "pw") {
      EXPECT_EQ(again.session().database, "ks");
    }
  }
}

TEST(Handshake, RefusalInPlaceOfTheGreeting) {
  ClientHandshake client({});
  std::string body("\xff\x10\x04Too many connections");
  EXPECT_EQ(client.OnPacket(body, 0), ClientHandshake::Step::kFailed);
  EXPECT_EQ(client.error().mysql_errno(), 1040);
  EXPECT_EQ(client.error().message(), "Too many connections");
}

// One entry for fuzzers: the first byte says which machine, the rest is cut into packets.
int FuzzOne(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  ServerHandshakeOptions options = ServerFor(kCachingSha2Plugin);
  options.rsa_key = nullptr;
  options.tls_available = data[0] & 2;
  options.unix_socket = data[0] & 4;
  ServerHandshake server(options);
  server.Start();
  ClientHandshakeOptions client_options;
  client_options.password = "pw";
  ClientHandshake client(client_options);
  for (uint8_t sequence = 0; !bytes.empty(); ++sequence) {
    size_t take = std::min<size_t>(bytes.size(), 1 + static_cast<uint8_t>(bytes[0]));
    std::string body(bytes.substr(0, take));
    bytes.remove_prefix(take);
    if (data[0] & 1) {
      client.OnPacket(body, sequence);
    } else {
      server.OnPacket(body, sequence);
    }
  }
  return 0;
}

TEST(Handshake, GarbageIsRefusedWithoutHarm) {
  ServerHandshake server(ServerFor(kNativePlugin));
  server.Start();
  std::string greeting = server.TakeOutput().substr(4);
  Login login;
  login.capabilities = kBackendCapabilities | kClientConnectWithDb;
  login.user = "plain";
  login.auth_response = std::string(20, 'x');
  login.plugin = kNativePlugin;
  login.attributes = {{"a", "b"}};
  std::string login_bytes = WriteLogin(login);
  for (const std::string& seed : {greeting, login_bytes}) {
    for (size_t cut = 0; cut < seed.size(); ++cut) {
      std::string cut_body = seed.substr(0, cut);
      ServerHandshake on_server(ServerFor(kNativePlugin));
      on_server.Start();
      on_server.OnPacket(cut_body, 1);
      ClientHandshake on_client({});
      on_client.OnPacket(cut_body, 0);
    }
  }
  SeededRng rng(3);
  for (int round = 0; round < 20000; ++round) {
    std::string bytes(1, static_cast<char>(rng.Next()));
    bytes += (rng.Below(2) ? greeting : login_bytes) + std::string(rng.Below(40), 'z');
    for (uint64_t i = 0, n = rng.Below(6); i < n; ++i)
      bytes[rng.Below(bytes.size())] = static_cast<char>(rng.Next());
    FuzzOne(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
}

TEST(Auth, HashesAreMySqls) {
  // SELECT PASSWORD('pw') of MariaDB.
  EXPECT_EQ(Upper(HexEncode(NativeHash("pw"))), "D821809F681A40A6E379B50D0463EFAE20BDD122");
  EXPECT_EQ(ParseNativeHash("*D821809F681A40A6E379B50D0463EFAE20BDD122"), NativeHash("pw"));
  EXPECT_EQ(ParseNativeHash("*D82180"), std::nullopt);
}

}  // namespace
}  // namespace paceline::mysql::wire
