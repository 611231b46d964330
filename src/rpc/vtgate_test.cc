// vtgateservice and TLS end to end in process.
#include "rpc/vtgate.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "io/process.h"
#include "rpc/error_codec.h"
#include "rpc/testing.h"
#include "vtgate.pb.h"

namespace paceline::rpc {
namespace {

class FakeGate final : public port::Vtgate {
 public:
  io::Task<Status> Execute(const vtgate::ExecuteRequest& request, vtgate::ExecuteResponse& response,
                           Deadline) override {
    *response.mutable_session() = request.session();
    response.mutable_session()->set_in_transaction(true);
    if (request.query().sql() == "bad") {
      ToProto(Error::FromMysql(1064, "42000", "near 'bad'"), response.mutable_error());
    } else {
      response.mutable_result()->set_rows_affected(5);
    }
    co_return Status();
  }
  io::Task<Status> StreamExecute(
      const vtgate::StreamExecuteRequest&,
      std::function<io::Task<Status>(const vtgate::StreamExecuteResponse&)> send,
      Deadline) override {
    for (int i = 0; i < 3; ++i) {
      vtgate::StreamExecuteResponse message;
      message.mutable_result()->set_insert_id(static_cast<uint64_t>(i));
      Status sent = co_await send(message);
      if (!sent) co_return sent;
    }
    co_return Status();
  }
#define PACELINE_METHOD(Method)                                                                \
  io::Task<Status> Method(const vtgate::Method##Request&, vtgate::Method##Response&, Deadline) \
      override {                                                                               \
    co_return Fail(Code::kUnimplemented, "not in this test");                                  \
  }
  // clang-format off
  PACELINE_METHOD(ExecuteBatch)
  PACELINE_METHOD(ExecuteMulti)
  PACELINE_METHOD(Prepare) PACELINE_METHOD(CloseSession)
#undef PACELINE_METHOD
      // clang-format on
      io::Task<Status> StreamExecuteMulti(
          const vtgate::StreamExecuteMultiRequest&,
          std::function<io::Task<Status>(const vtgate::StreamExecuteMultiResponse&)>,
          Deadline) override {
    co_return Fail(Code::kUnimplemented, "not in this test");
  }
};

TEST(VtgateRpc, ExecuteAndStream) {
  FakeGate gate;
  Pair pair;
  AddVtgate(pair.server, pair.server_loop, gate);
  pair.Start();

  vtgate::ExecuteRequest request;
  request.mutable_query()->set_sql("bad");
  request.mutable_session()->set_target_string("ks@primary");
  vtgate::ExecuteResponse response;
  ASSERT_TRUE(pair.Await(pair.channel()->Unary("/vtgateservice.Vitess/Execute", request, response,
                                               Deadline::In(10s))));
  EXPECT_EQ(response.session().target_string(), "ks@primary");
  EXPECT_TRUE(response.session().in_transaction());
  EXPECT_EQ(FromProto(response.error()).mysql_errno(), 1064);

  vtgate::StreamExecuteRequest streaming;
  std::unique_ptr<ClientStream> stream =
      pair.channel()->Stream("/vtgateservice.Vitess/StreamExecute", streaming, Deadline::In(10s));
  vtgate::StreamExecuteResponse message;
  for (uint64_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(*pair.Await(stream->Next(message, Deadline::In(10s))));
    EXPECT_EQ(message.result().insert_id(), i);
  }
  EXPECT_FALSE(*pair.Await(stream->Next(message, Deadline::In(10s))));
}

// One self-signed certificate serves as both sides' and as the authority.
struct TlsFiles {
  TlsFiles() {
    std::string pattern = std::filesystem::temp_directory_path() / "paceline-rpc-XXXXXX";
    directory = mkdtemp(pattern.data());
    io::Loop loop;
    io::ProcessOptions options;
    options.argv = {"openssl",  "req",        "-x509",   "-newkey",
                    "rsa:2048", "-nodes",     "-days",   "2",
                    "-subj",    "/CN=tablet", "-addext", "subjectAltName=DNS:tablet",
                    "-keyout",  key(),        "-out",    cert()};
    Result<io::CommandResult> made =
        io::RunUntilDone(loop, io::RunCommand(options, Deadline::In(30s)));
    EXPECT_TRUE(made && made->exit.code == 0) << (made ? made->output : made.error().message());
  }
  ~TlsFiles() { std::filesystem::remove_all(directory); }
  std::string key() const { return directory + "/key.pem"; }
  std::string cert() const { return directory + "/cert.pem"; }
  std::string directory;
};

Status Call(Pair& pair, const ChannelOptions& options) {
  Result<ChannelPtr> channel =
      Channel::Open(pair.client_loop, fmt::format("127.0.0.1:{}", pair.server.port()), options);
  if (!channel) return Fail(channel.error());
  vtgate::ExecuteRequest request;
  vtgate::ExecuteResponse response;
  Status status = pair.Await(
      (*channel)->Unary("/vtgateservice.Vitess/Execute", request, response, Deadline::In(10s)));
  pair.Await((*channel)->Close());
  return status;
}

TEST(Tls, BothSidesShowCertificates) {
  TlsFiles files;
  FakeGate gate;
  Pair pair;
  AddVtgate(pair.server, pair.server_loop, gate);
  ServerOptions server;
  server.address = "127.0.0.1:0";
  server.cert_file = files.cert();
  server.key_file = files.key();
  server.client_ca_file = files.cert();
  ASSERT_TRUE(pair.server.Start(server));

  ChannelOptions good{.tls = true,
                      .ca_file = files.cert(),
                      .cert_file = files.cert(),
                      .key_file = files.key(),
                      .server_name = "tablet"};
  Status ok = Call(pair, good);
  EXPECT_TRUE(ok) << ok.error().message();
  ChannelOptions nameless{.tls = true, .ca_file = files.cert(), .server_name = "tablet"};
  EXPECT_FALSE(Call(pair, nameless));
  ChannelOptions stranger = good;
  stranger.server_name = "elsewhere";
  EXPECT_FALSE(Call(pair, stranger));
  EXPECT_FALSE(Call(pair, ChannelOptions()));
  ChannelOptions missing = good;
  missing.ca_file = files.directory + "/none.pem";
  EXPECT_EQ(Call(pair, missing).error().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace paceline::rpc
