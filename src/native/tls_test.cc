// The native plane under mutual TLS: whom it lets in, and that statements pass.
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>

#include "io/blocking.h"
#include "io/certificates.h"
#include "native/client.h"
#include "native/server.h"

namespace paceline::native {
namespace {

using namespace std::chrono_literals;

// Asked for nothing but to be there.
class IdleService final : public port::QueryService {
 public:
  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest&, port::ResultSink&,
                                           Deadline) override {
    co_return Fail(Code::kUnimplemented, "idle");
  }
  io::Task<Status> Release(record::Target, uint64_t, Deadline) override { co_return Status(); }
  io::Task<Status> StreamHealth(port::HealthSink&, Deadline) override { co_return Status(); }
  io::Task<void> Close() override { co_return; }
};

class NativeTlsTest : public ::testing::Test {
 protected:
  NativeTlsTest() {
    char name[] = "/tmp/paceline-native-tls-XXXXXX";
    folder_ = mkdtemp(name);
    const WallTime now = SystemClock().WallNow();
    Put("ca", *io::MakeAuthority("ours", now, 24h));
    const io::Certificate ca{Read("ca.pem"), Read("ca-key.pem")};
    Put("node", *io::IssueCertificate(ca, "node", {"localhost", "127.0.0.1"}, now, 24h));
    Put("elsewhere", *io::IssueCertificate(ca, "elsewhere", {"10.9.9.9"}, now, 24h));
    const io::Certificate other = *io::MakeAuthority("another", now, 24h);
    Put("forged", *io::IssueCertificate(other, "node", {"127.0.0.1"}, now, 24h));
  }
  ~NativeTlsTest() override {
    if (server_ != nullptr) io::RunUntilDone(loop_, Closed(server_.get()));
    std::filesystem::remove_all(folder_);
  }
  static io::Task<int> Closed(Server* server) {
    co_await server->Close();
    co_return 0;
  }
  static io::Task<Status> PingOnce(Client* client) {
    Status pong = co_await client->Ping(Deadline::In(5s));
    co_await client->Close();
    co_return pong;
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Read(const std::string& name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void Put(const std::string& name, const io::Certificate& pair) {
    std::ofstream(Path(name + ".pem")) << pair.cert_pem;
    std::ofstream(Path(name + "-key.pem")) << pair.key_pem;
  }
  io::TlsOptions Options(const std::string& who) const {
    io::TlsOptions options;
    if (!who.empty()) {
      options.cert_file = Path(who + ".pem");
      options.key_file = Path(who + "-key.pem");
    }
    options.ca_file = Path("ca.pem");
    return options;
  }
  void Serve(const std::string& who) {
    ServerOptions options;
    options.addresses = {io::Address::Tcp("127.0.0.1", 0)};
    options.tablet = {"zone1", 100};
    io::TlsOptions tls = Options(who);
    tls.require_peer_certificate = true;
    options.tls = *io::TlsContext::Server(tls);
    server_ = *Server::Listen(loop_, {{&loop_, &service_}}, options);
  }
  // Connects and pings. `who`: empty shows no certificate, "plain" speaks no TLS.
  Status Ping(const std::string& who) {
    ClientOptions options;
    options.address = io::Address::Tcp("127.0.0.1", server_->port());
    options.tablet = {"zone1", 100};
    if (who != "plain") {
      io::TlsOptions tls = Options(who);
      tls.server_name = "127.0.0.1";
      options.tls = *io::TlsContext::Client(tls);
    }
    auto client = io::RunUntilDone(loop_, Client::Connect(options, Deadline::In(5s)));
    if (!client) return Fail(client.error());
    return io::RunUntilDone(loop_, PingOnce(client->get()));
  }

  std::string folder_;
  io::Loop loop_;
  IdleService service_;
  std::unique_ptr<Server> server_;
};

TEST_F(NativeTlsTest, WhoShowsACertificateOfOursIsLetIn) {
  Serve("node");
  Status pong = Ping("node");
  EXPECT_TRUE(pong) << pong.error().ToString();
  for (const char* who : {"", "forged", "plain"}) EXPECT_FALSE(Ping(who)) << who;
  EXPECT_TRUE(Ping("node")) << "refusals harm nobody else";
}

TEST_F(NativeTlsTest, AServerOfAnotherAddressIsNotTrusted) {
  Serve("elsewhere");
  Status pong = Ping("node");
  ASSERT_FALSE(pong);
  EXPECT_NE(pong.error().ToString().find("certificate"), std::string::npos)
      << pong.error().ToString();
}

}  // namespace
}  // namespace paceline::native
