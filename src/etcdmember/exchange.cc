#include "etcdmember/exchange.h"

#include <fstream>
#include <nlohmann/json.hpp>

#include "base/rng.h"
#include "base/strings.h"
#include "etcdmember/seal.h"
#include "io/blocking.h"
#include "io/stream.h"
#include "web/process_metrics.h"

namespace paceline::etcdmember {
namespace {

constexpr size_t kPiece = 512 * 1024;
constexpr size_t kAnswerMax = 4 * 1024 * 1024;

nlohmann::json ToJson(const SnapshotId& id) {
  return {{"digest", id.digest},
          {"cluster_id", id.cluster_id},
          {"revision", id.revision},
          {"taken_unix_ns", id.taken_unix_ns}};
}

std::string ToText(const Sight& sight) {
  return nlohmann::json{{"has_data", sight.has_data}, {"nonce", sight.nonce},
                        {"agreed", sight.agreed},     {"agreed_digest", sight.agreed_digest},
                        {"founded", sight.founded},   {"snapshot", ToJson(sight.snapshot)}}
      .dump();
}

Result<Sight> ToSight(const std::string& text) {
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("has_data"))
    return Fail(Code::kDataLoss, "not an answer of an etcd-member");
  Sight sight;
  sight.answers = true;
  sight.has_data = json.value("has_data", true);
  sight.nonce = json.value("nonce", std::string());
  sight.agreed = json.value("agreed", std::string());
  sight.agreed_digest = json.value("agreed_digest", std::string());
  sight.founded = json.value("founded", std::string());
  nlohmann::json snapshot = json.value("snapshot", nlohmann::json::object());
  sight.snapshot.digest = snapshot.value("digest", std::string());
  sight.snapshot.cluster_id = snapshot.value("cluster_id", uint64_t{0});
  sight.snapshot.revision = snapshot.value("revision", int64_t{0});
  sight.snapshot.taken_unix_ns = snapshot.value("taken_unix_ns", int64_t{0});
  return sight;
}

std::string HeaderOf(std::string_view head, std::string_view name) {
  for (std::string_view line : Split(head, '\n')) {
    size_t colon = line.find(':');
    if (colon != std::string_view::npos && EqualsIgnoreCase(line.substr(0, colon), name))
      return std::string(Trim(line.substr(colon + 1)));
  }
  return "";
}

}  // namespace

Status Exchange::Start(io::Loop& loop, std::string address, uint16_t port,
                       std::function<Sight()> look, std::function<std::string()> page,
                       std::function<bool()> well) {
  web::ServerOptions options;
  options.address = std::move(address);
  options.port = port;
  server_ = std::make_unique<web::Server>(loop, options);
  Answer("/look", [look](const std::string&) -> Result<std::string> { return ToText(look()); });
  Answer("/snapshot", [this](const std::string& question) { return Piece(question); });
  server_->Route("/", [page](const web::Request&, const web::Completion& done) {
    done(web::TextResponse(200, page()));
  });
  server_->Route("/healthz", [well](const web::Request&, const web::Completion& done) {
    done(web::TextResponse(well() ? 200 : 503, well() ? "ok\n" : "not serving\n"));
  });
  server_->Route("/readyz", [well](const web::Request&, const web::Completion& done) {
    done(web::TextResponse(well() ? 200 : 503, well() ? "ok\n" : "not serving\n"));
  });
  server_->Route("/debug/status", [page](const web::Request&, const web::Completion& done) {
    done(web::TextResponse(200, page()));
  });
  serving_ = Metrics::Process().AddCallback("EtcdServing", "1 while this member's etcd answers",
                                            CallbackKind::kGauge,
                                            [well]() -> int64_t { return well() ? 1 : 0; });
  server_->Route("/debug/vars", [](const web::Request&, const web::Completion& done) {
    done(web::JsonResponse(Metrics::Process().VarsJson()));
  });
  server_->Route("/metrics", [](const web::Request&, const web::Completion& done) {
    done(web::TextResponse(
        200, Metrics::Process().PrometheusText("etcd_member") + web::ProcessMetricsText()));
  });
  return server_->Start();
}

void Exchange::Answer(std::string path,
                      std::function<Result<std::string>(const std::string&)> answer) {
  server_->RoutePost(
      path, [this, path, answer](const web::Request& request, const web::Completion& done) {
        std::string nonce(request.Header("x-paceline-nonce"));
        std::string expected = Seal(secret_, "ask " + path + members_, nonce, request.body);
        if (nonce.empty() || !SealFits(request.Header("x-paceline-seal"), expected)) {
          bool other = request.Header("x-paceline-members") != HexEncode(Sha256(members_));
          return done(web::TextResponse(other ? 409 : 403,
                                        other ? "another --members\n" : "another secret\n"));
        }
        Result<std::string> text = answer(request.body);
        if (!text) return done(web::ErrorResponse(text.error()));
        web::Response response;
        response.headers.emplace_back("X-Paceline-Seal",
                                      Seal(secret_, "answer " + path + members_, nonce, *text));
        response.content_type = "application/octet-stream";
        response.body = std::move(*text);
        done(std::move(response));
      });
}

Result<std::string> Exchange::Piece(const std::string& question) const {
  nlohmann::json json = nlohmann::json::parse(question, nullptr, false);
  if (!json.is_object()) return Fail(Code::kInvalidArgument, "which snapshot?");
  std::string file = snapshots_.FileOf(json.value("digest", std::string()));
  std::ifstream in(file, std::ios::binary);
  if (file.empty() || !in) return Fail(Code::kNotFound, "that snapshot is not here");
  in.seekg(static_cast<std::streamoff>(json.value("offset", uint64_t{0})));
  std::string piece(kPiece, '\0');
  in.read(piece.data(), static_cast<std::streamsize>(piece.size()));
  piece.resize(static_cast<size_t>(in.gcount()));
  return piece;
}

io::Task<Result<std::string>> Exchange::Ask(std::string address, std::string path, std::string body,
                                            Deadline deadline) {
  Result<io::Address> where = io::ParseAddress(address);
  if (!where) co_return Fail(where.error());
  io::Address to = *where;
  Result<std::unique_ptr<io::Socket>> socket = co_await io::Connect(to, deadline);
  if (!socket) co_return Fail(socket.error());
  std::string nonce = HexEncode(RandomBytes(16));
  std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n"
      "X-Paceline-Members: {}\r\nX-Paceline-Nonce: {}\r\nX-Paceline-Seal: {}\r\n\r\n{}",
      path, address, body.size(), HexEncode(Sha256(members_)), nonce,
      Seal(secret_, "ask " + path + members_, nonce, body), body);
  Status sent = co_await (*socket)->WriteAll(request, deadline);
  if (!sent) co_return Fail(sent.error());
  std::string answer;
  std::string chunk(64 * 1024, '\0');
  size_t head_size = std::string::npos, whole = std::string::npos;
  while (answer.size() < whole) {
    Result<size_t> got = co_await (*socket)->Read(chunk.data(), chunk.size(), deadline);
    if (!got) co_return Fail(got.error().Context(address));
    answer.append(chunk.data(), *got);
    if (head_size == std::string::npos && answer.find("\r\n\r\n") != std::string::npos) {
      head_size = answer.find("\r\n\r\n") + 4;
      std::string_view head = std::string_view(answer).substr(0, head_size);
      whole = head_size + ParseUint(HeaderOf(head, "content-length")).value_or(0);
    }
    if (answer.size() > kAnswerMax || (whole != std::string::npos && whole > kAnswerMax))
      co_return Fail(Code::kDataLoss, "{}: the answer is too large", address);
  }
  std::string_view head = std::string_view(answer).substr(0, head_size);
  std::string text = answer.substr(head_size);
  bool fits = SealFits(HeaderOf(head, "x-paceline-seal"),
                       Seal(secret_, "answer " + path + members_, nonce, text));
  if (fits) co_return text;
  std::string_view status = head.substr(0, head.find('\r'));
  Code code = Code::kPermissionDenied;
  if (status.find(" 409") != std::string_view::npos) code = Code::kFailedPrecondition;
  co_return Fail(code, "{}: {}: {}", address, status, Trim(text));
}

io::Task<Result<Sight>> Exchange::Look(std::string address, Deadline deadline) {
  Result<std::string> text = co_await Ask(address, "/look", "{}", deadline);
  if (!text) co_return Fail(text.error());
  Result<Sight> sight = ToSight(*text);
  co_return sight;
}

io::Task<Status> Exchange::Fetch(std::string address, SnapshotId id, Deadline deadline) {
  Result<std::string> fresh = snapshots_.Fresh();
  if (!fresh) co_return Fail(fresh.error());
  std::ofstream out(*fresh, std::ios::binary | std::ios::trunc);
  for (uint64_t offset = 0;;) {
    std::string question = nlohmann::json{{"digest", id.digest}, {"offset", offset}}.dump();
    Result<std::string> piece = co_await Ask(address, "/snapshot", question, deadline);
    if (!piece) co_return Fail(piece.error().Context("fetching a snapshot"));
    out.write(piece->data(), static_cast<std::streamsize>(piece->size()));
    offset += piece->size();
    if (piece->size() < kPiece) break;
  }
  out.close();
  if (!out) co_return Fail(Code::kUnavailable, "cannot write {}", *fresh);
  std::function<Result<std::string>()> check = [file = *fresh] { return Snapshots::Check(file); };
  Result<std::string> digest = co_await io::RunBlocking<Result<std::string>>(check);
  if (!digest) co_return Fail(digest.error());
  if (*digest != id.digest)
    co_return Fail(Code::kDataLoss, "{}: the snapshot is another one", address);
  co_return snapshots_.Adopt(*fresh, id);
}

}  // namespace paceline::etcdmember
