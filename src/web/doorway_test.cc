#include "web/doorway.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/strings.h"
#include "web/server.h"
#include "web/testing.h"

namespace paceline::web {
namespace {

using testing::Answer;
using testing::RawClient;

// A server as vtctld's: users in a file, or none.
class DoorwayTest : public ::testing::Test {
 protected:
  void Start(bool with_users) {
    access::GuardOptions options;
    file_ = ::testing::TempDir() + "paceline-doorway-users.json";
    if (with_users) {
      options.users_file = file_;
      std::ofstream(file_) << R"({"users": [{"name": "vera", "role": "viewer", "token_sha256": [")"
                           << access::TokenHash("v")
                           << R"("]}, {"name": "otto", "role": "operator",)"
                           << R"("token_sha256": [")" << access::TokenHash("o") << R"("]}]})";
    }
    auto guard = access::Guard::Make(options, metrics_);
    ASSERT_TRUE(guard) << guard.error().ToString();
    ServerOptions serving{"127.0.0.1", 0, {}};
    serving.doorway = Doorway{*guard, RoleOfPage};
    server_ = std::make_unique<Server>(loop_, serving);
    auto who = [](const Request& request, Completion done) {
      done(TextResponse(200, request.caller.name));
    };
    server_->Route("/healthz", who);
    server_->Route("/page", who);
    server_->RoutePost("/act", who);
    server_->Route("/api/disable-global-recoveries", who);
    ASSERT_TRUE(server_->Start());
    thread_ = std::thread([this] { loop_.Run(); });
  }
  void TearDown() override {
    loop_.Stop();
    if (thread_.joinable()) thread_.join();
    if (server_) server_->Stop();
    std::filesystem::remove(file_);
  }
  Answer Ask(const std::string& line, const std::string& headers, const char* host = "localhost") {
    RawClient client(server_->port());
    client.Send(line + " HTTP/1.1\r\nHost: " + host + "\r\nContent-Length: 0\r\n" + headers +
                "\r\n");
    return client.Read();
  }
  int64_t Refusals(const std::string& reason) const {
    const std::string page = metrics_.PrometheusText("vtctld");
    const std::string key = "vtctld_access_refusals{reason=\"" + reason + "\"} ";
    const size_t at = page.find(key);
    return at == std::string::npos ? -1 : std::stoll(page.substr(at + key.size()));
  }

  io::Loop loop_;
  Metrics metrics_;
  std::string file_;
  std::unique_ptr<Server> server_;
  std::thread thread_;
};

TEST_F(DoorwayTest, RolesByToken) {
  Start(true);
  EXPECT_EQ(Ask("GET /healthz", "").status, 200);
  const Answer nobody = Ask("GET /page", "");
  EXPECT_EQ(nobody.status, 401);
  EXPECT_NE(nobody.Header("www-authenticate").find("Basic"), std::string::npos);
  EXPECT_EQ(Ask("GET /page", "Authorization: Bearer forged\r\n").status, 401);
  EXPECT_EQ(Ask("GET /page", "Authorization: Bearer v\r\n").body, "vera");
  EXPECT_EQ(Ask("POST /act", "Authorization: Bearer v\r\n").status, 403);
  EXPECT_EQ(Ask("POST /act", "Authorization: Bearer o\r\n").body, "otto");
  EXPECT_EQ(Ask("GET /api/disable-global-recoveries", "Authorization: Bearer v\r\n").status, 403);
  EXPECT_EQ(Ask("GET /nothing", "").status, 401) << "what is there is nobody's business";
  EXPECT_EQ(Refusals("unknown credentials"), 1);
  EXPECT_EQ(Refusals("no credentials"), 2);
  EXPECT_EQ(Refusals("role"), 2);
}

TEST_F(DoorwayTest, ActionsOfOtherSitesPagesAreRefused) {
  Start(false);
  EXPECT_EQ(Ask("POST /act", "").body, "local") << "no browser";
  EXPECT_EQ(Ask("POST /act", "Origin: http://localhost\r\n").status, 200);
  EXPECT_EQ(Ask("POST /act", "Sec-Fetch-Site: same-origin\r\n").status, 200);
  for (const char* header : {"Origin: http://evil.example\r\n", "Origin: null\r\n",
                             "Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n"}) {
    EXPECT_EQ(Ask("POST /act", header).status, 403) << header;
  }
  EXPECT_EQ(Ask("GET /api/disable-global-recoveries", "Sec-Fetch-Site: cross-site\r\n").status,
            403);
  // A name of the attacker's that leads to this machine.
  EXPECT_EQ(Ask("GET /page", "", "evil.example:80").status, 403);
  EXPECT_EQ(Ask("GET /page", "", "127.0.0.1:15000").status, 200);
  EXPECT_EQ(Refusals("cross-site"), 6);
}

}  // namespace
}  // namespace paceline::web
