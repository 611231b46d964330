#include "web/transport.h"

// gcc's thread sanitizer does not know fences and refuses them; Asio's locks order all that we
// share.
#ifdef __SANITIZE_THREAD__
#define BOOST_ASIO_DISABLE_FENCED_BLOCK
#endif

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <set>
#include <thread>

#include "base/log.h"
#include "base/metrics.h"
#include "base/strings.h"
#include "web/events.h"

namespace paceline::web {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using tcp = net::ip::tcp;
using ErrorCode = boost::system::error_code;

// What a client may still send after its request was refused, until it has read the answer. Closing
// at once would reset the connection and might take the answer with it.
constexpr size_t kLingerBytes = 4 * 1024 * 1024;
constexpr auto kLinger = std::chrono::seconds(2);

constexpr std::pair<std::string_view, std::string_view> kCommonHeaders[] = {
    {"Cache-Control", "no-store"},
    {"X-Content-Type-Options", "nosniff"},
    {"Referrer-Policy", "no-referrer"},
    {"Content-Security-Policy",
     "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' "
     "data:; "
     "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'self'"},
};

std::string_view View(beast::string_view text) { return {text.data(), text.size()}; }
beast::string_view Text(std::string_view text) { return {text.data(), text.size()}; }

// The answer to a request that could not be read, or empty when the client is simply gone.
std::optional<Response> Refusal(const ErrorCode& error) {
  if (error == http::error::body_limit) return TextResponse(413, "the body is too large\n");
  if (error == http::error::header_limit || error == http::error::buffer_overflow) {
    return TextResponse(431, "the headers are too large\n");
  }
  if (error == http::error::end_of_stream || error == http::error::partial_message) return {};
  if (error.category() == http::make_error_code(http::error::bad_method).category()) {
    return TextResponse(400, "this is not HTTP\n");
  }
  return {};
}

Result<tcp::endpoint> ResolveAddress(net::io_context& io, const std::string& address,
                                     uint16_t port) {
  ErrorCode error;
  const net::ip::address numeric = net::ip::make_address(address, error);
  if (!error) return tcp::endpoint(numeric, port);
  tcp::resolver resolver(io);
  const auto found = resolver.resolve(address, std::to_string(port), error);
  if (error || found.empty()) {
    return Fail(Code::kInvalidArgument, "cannot listen for HTTP on {}: {}", address,
                error.message());
  }
  return found.begin()->endpoint();
}

}  // namespace

class Session;

struct Transport::State : std::enable_shared_from_this<Transport::State> {
  explicit State(ServerOptions options) : options(std::move(options)) {}

  Status Listen(const tcp::endpoint& endpoint);
  void Accept();

  ServerOptions options;
  OnRequest on_request;
  size_t connections = 0;
  uint16_t port = 0;
  std::thread thread;
  net::io_context io{1};  // destroyed first: its sessions use what stands above
  tcp::acceptor acceptor{io};
  net::steady_timer pause{io};  // after a failed accept
};

// One connection, on the transport's thread. Its pending operation or timer keeps it alive.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Transport::State& state, tcp::socket socket)
      : state_(state),
        limits_(state.options.limits),
        stream_(std::move(socket)),
        timer_(state.io),
        buffer_(limits_.header_bytes + 64 * 1024) {
    ++state_.connections;
    ErrorCode error;
    const tcp::endpoint peer = stream_.socket().remote_endpoint(error);
    if (!error) peer_ = peer.address().to_string() + ':' + std::to_string(peer.port());
  }
  ~Session() {
    if (events_) events_->Detach();
    --state_.connections;
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The first request's time runs from the connect, a later one's from its first byte.
  void Start() { Receive(); }
  // The answer to request `number`; too late ones are dropped.
  void Answer(uint64_t number, Response response) {
    if (number != number_ || !waiting_) return;
    waiting_ = false;
    timer_.cancel();
    Write(std::move(response));
  }

 private:
  void WaitForNext();
  void Receive();
  void Received(const ErrorCode& error);
  void Dispatch(Request request);
  // What is no request that a handler could be given: logged and counted.
  void Refuse(Response response);
  void Write(Response response);
  // Server-sent events: what is pending is written, then what comes, until either side ends it.
  void StartEvents();
  void WriteEvents();
  void WatchClient();
  void Linger();

  Transport::State& state_;
  const Limits& limits_;
  beast::tcp_stream stream_;
  net::steady_timer timer_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response<http::string_body>> answer_;
  std::shared_ptr<EventStream> events_;
  std::string chunk_;  // of events_, being written
  bool writing_events_ = false;
  std::string peer_;
  uint64_t number_ = 0;
  bool waiting_ = false;  // for the handler
  bool head_ = false, keep_alive_ = false;
  unsigned version_ = 11;
  size_t lingered_ = 0;
};

namespace {

// What a Completion shares: answers once, from any thread, and with a 500 when nobody does.
class Reply {
 public:
  Reply(std::shared_ptr<Transport::State> state, std::weak_ptr<Session> session, uint64_t number)
      : state_(std::move(state)), session_(std::move(session)), number_(number) {}
  ~Reply() { Send(TextResponse(500, "the request was dropped\n")); }
  Reply(const Reply&) = delete;
  Reply& operator=(const Reply&) = delete;

  void Send(Response response) {
    if (sent_.exchange(true)) return;
    net::post(state_->io,
              [session = session_, number = number_, response = std::move(response)]() mutable {
                if (auto alive = session.lock()) alive->Answer(number, std::move(response));
              });
  }

 private:
  std::shared_ptr<Transport::State> state_;
  std::weak_ptr<Session> session_;
  uint64_t number_;
  std::atomic<bool> sent_{false};
};

}  // namespace

void Session::WaitForNext() {
  if (buffer_.size() > 0) return Receive();
  stream_.expires_after(limits_.idle);
  stream_.async_read_some(buffer_.prepare(4096),
                          [self = shared_from_this()](const ErrorCode& error, size_t size) {
                            if (error) return;
                            self->buffer_.commit(size);
                            self->Receive();
                          });
}

void Session::Receive() {
  parser_.emplace();
  parser_->header_limit(static_cast<uint32_t>(limits_.header_bytes));
  parser_->body_limit(limits_.body_bytes);
  stream_.expires_after(limits_.receive);
  http::async_read(
      stream_, buffer_, *parser_,
      [self = shared_from_this()](const ErrorCode& error, size_t) { self->Received(error); });
}

void Session::Received(const ErrorCode& error) {
  keep_alive_ = false;
  head_ = false;
  if (error) {
    if (std::optional<Response> refusal = Refusal(error)) Refuse(std::move(*refusal));
    return;
  }
  auto message = parser_->release();
  head_ = message.method() == http::verb::head;
  version_ = message.version();
  Request request;
  request.method = head_ ? "GET" : std::string(View(message.method_string()));
  request.peer = peer_;
  for (const auto& field : message) {
    request.headers.emplace_back(Lower(View(field.name_string())), View(field.value()));
  }
  if (Status parsed = ParseTarget(View(message.target()), request); !parsed) {
    return Refuse(ErrorResponse(parsed.error()));
  }
  keep_alive_ = message.keep_alive();
  request.body = std::move(message.body());
  Dispatch(std::move(request));
}

void Session::Dispatch(Request request) {
  ++number_;
  waiting_ = true;
  stream_.expires_never();
  timer_.expires_after(limits_.handle);
  timer_.async_wait([self = shared_from_this(), number = number_](const ErrorCode& error) {
    if (error || number != self->number_) return;
    self->keep_alive_ = false;
    self->Answer(number, TextResponse(504, "no answer in time\n"));
  });
  auto reply = std::make_shared<Reply>(state_.shared_from_this(), weak_from_this(), number_);
  state_.on_request(std::move(request),
                    [reply](Response response) { reply->Send(std::move(response)); });
}

void Session::Refuse(Response response) {
  Metrics::Process()
      .AddCounters("HttpRefused", "requests that were too large, unsafe or no HTTP", {"Status"})
      .With({std::to_string(response.status)})
      .Add();
  LOG_WARNING("web: a request of {} was refused with {}: {}", peer_, response.status,
              Trim(response.body));
  Write(std::move(response));
}

void Session::Write(Response response) {
  answer_.emplace(static_cast<http::status>(response.status), version_);
  for (const auto& [name, value] : kCommonHeaders) answer_->set(Text(name), Text(value));
  response.headers.emplace_back("Content-Type", response.content_type);
  for (const auto& [name, value] : response.headers) {
    if ((name + value).find_first_of("\r\n") == std::string::npos) answer_->set(name, value);
  }
  answer_->keep_alive(keep_alive_);
  answer_->body() = std::move(response.body);
  events_ = head_ ? nullptr : std::move(response.events);
  if (events_) {
    answer_->keep_alive(false);
  } else {
    answer_->prepare_payload();
  }
  if (head_) answer_->body().clear();  // Content-Length stays that of the GET
  stream_.expires_after(limits_.send);
  http::async_write(stream_, *answer_, [self = shared_from_this()](const ErrorCode& error, size_t) {
    if (error) return;
    if (self->events_) return self->StartEvents();
    self->keep_alive_ ? self->WaitForNext() : self->Linger();
  });
}

void Session::StartEvents() {
  // The stream's owner may outlive the server.
  events_->Attach([state = state_.weak_from_this(), session = weak_from_this()] {
    const std::shared_ptr<Transport::State> running = state.lock();
    if (!running) return;
    net::post(running->io, [session] {
      if (auto alive = session.lock()) alive->WriteEvents();
    });
  });
  stream_.expires_never();
  WatchClient();
  WriteEvents();
}

void Session::WriteEvents() {
  if (writing_events_) return;
  chunk_ = events_->Take();
  if (chunk_.empty()) {
    ErrorCode ignored;
    if (events_->closed()) stream_.socket().shutdown(tcp::socket::shutdown_both, ignored);
    return;
  }
  writing_events_ = true;
  stream_.expires_after(limits_.send);
  net::async_write(stream_, net::buffer(chunk_),
                   [self = shared_from_this()](const ErrorCode& error, size_t) {
                     self->writing_events_ = false;
                     if (error) return self->events_->Detach();
                     self->WriteEvents();
                   });
}

void Session::WatchClient() {
  // Nothing is to come from the client but its end.
  buffer_.clear();
  stream_.async_read_some(buffer_.prepare(512),
                          [self = shared_from_this()](const ErrorCode& error, size_t) {
                            if (error) return self->events_->Detach();
                            self->WatchClient();
                          });
}

void Session::Linger() {
  ErrorCode error;
  if (lingered_ == 0) {
    stream_.socket().shutdown(tcp::socket::shutdown_send, error);
    stream_.expires_after(kLinger);
    buffer_.clear();
  }
  if (error || lingered_ > kLingerBytes) return;
  stream_.async_read_some(buffer_.prepare(16 * 1024),
                          [self = shared_from_this()](const ErrorCode& failed, size_t size) {
                            if (failed) return;
                            self->lingered_ += size;
                            self->Linger();
                          });
}

Status Transport::State::Listen(const tcp::endpoint& endpoint) {
  ErrorCode error;
  const auto failed = [&] {
    const Code code = error == net::error::address_in_use  ? Code::kAlreadyExists
                      : error == net::error::access_denied ? Code::kPermissionDenied
                                                           : Code::kUnavailable;
    return Fail(code, "cannot listen for HTTP on {} port {}: {}", endpoint.address().to_string(),
                endpoint.port(), error.message());
  };
  if (acceptor.close(error); acceptor.open(endpoint.protocol(), error)) return failed();
  acceptor.set_option(tcp::acceptor::reuse_address(true), error);
  if (options.address.empty() && endpoint.address().is_v6()) {
    acceptor.set_option(net::ip::v6_only(false), error);
  }
  if (acceptor.bind(endpoint, error)) return failed();
  if (acceptor.listen(net::socket_base::max_listen_connections, error)) return failed();
  port = acceptor.local_endpoint(error).port();
  if (error) return failed();
  return {};
}

void Transport::State::Accept() {
  acceptor.async_accept([this](const ErrorCode& error, tcp::socket socket) {
    if (error == net::error::operation_aborted) return;
    if (error) {
      // Most likely out of descriptors: trying again at once would spin.
      LOG_WARNING("web: cannot accept a connection: {}", error.message());
      pause.expires_after(std::chrono::milliseconds(200));
      pause.async_wait([this](const ErrorCode& stopped) {
        if (!stopped) Accept();
      });
      return;
    }
    ErrorCode ignored;
    socket.set_option(tcp::no_delay(true), ignored);
    if (connections < options.limits.connections) {
      std::make_shared<Session>(*this, std::move(socket))->Start();
    } else {
      static constexpr std::string_view kFull =
          "HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 21\r\n\r\n"
          "too many connections\n";
      socket.non_blocking(true, ignored);
      socket.write_some(net::buffer(kFull.data(), kFull.size()), ignored);
      socket.shutdown(tcp::socket::shutdown_send, ignored);
    }
    Accept();
  });
}

Transport::Transport(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<std::unique_ptr<Transport>> Transport::Start(const ServerOptions& options,
                                                    OnRequest on_request) {
  auto state = std::make_shared<State>(options);
  state->on_request = std::move(on_request);
  if (options.address.empty()) {
    const Status both = state->Listen(tcp::endpoint(tcp::v6(), options.port));
    if (!both && both.error().code() != Code::kUnavailable) return Fail(both.error());
    // A machine without IPv6.
    if (!both) RETURN_IF_ERROR(state->Listen(tcp::endpoint(tcp::v4(), options.port)));
  } else {
    ASSIGN_OR_RETURN(const tcp::endpoint endpoint,
                     ResolveAddress(state->io, options.address, options.port));
    RETURN_IF_ERROR(state->Listen(endpoint));
  }
  state->Accept();
  state->thread = std::thread([&io = state->io] { io.run(); });
  return std::unique_ptr<Transport>(new Transport(std::move(state)));
}

Transport::~Transport() {
  state_->io.stop();
  state_->thread.join();
  // The rest goes with the last Completion that somebody still holds.
  ErrorCode ignored;
  state_->acceptor.close(ignored);
  state_->on_request = nullptr;
}

uint16_t Transport::port() const { return state_->port; }

}  // namespace paceline::web
