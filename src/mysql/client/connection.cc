#include "mysql/client/connection.h"

#include <sys/uio.h>

#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet_walk.h"
#include "mysql/wire/rows.h"

namespace paceline::mysql {
namespace {

// No packet of a login is near this; it bounds what a foreign server can make us keep.
constexpr size_t kMaxLoginBytes = 1 << 20;

// A result under construction: raw bytes until it has ended.
struct RawResult {
  std::string meta;
  std::string rows;
};

Status DecodeRows(std::string_view raw, size_t columns, std::vector<value::Row>* out) {
  wire::PacketAssembler packets(raw.size());
  std::vector<std::optional<std::string_view>> values;
  std::span<const uint8_t> input = wire::AsBytes(raw);
  while (!input.empty()) {
    if (packets.Feed(&input) != wire::PacketAssembler::Outcome::kPacket) break;
    if (!wire::ParseTextRow(packets.body(), columns, &values)) {
      return Fail(Code::kInternal, "malformed row in a result of {} columns", columns);
    }
    value::Row& row = out->emplace_back();
    for (const auto& value : values) value ? row.Append(*value) : row.AppendNull();
  }
  return {};
}

Result<QueryResult> Decode(const RawResult& raw, const wire::Terminator& end) {
  QueryResult result;
  result.end = end;
  if (raw.meta.empty()) return result;
  ASSIGN_OR_RETURN(result.columns, wire::ParseColumns(raw.meta));
  RETURN_IF_ERROR(DecodeRows(raw.rows, result.columns.size(), &result.rows));
  return result;
}

// REQUIRES: the command fits one packet.
void WriteCommandHeader(char* out, wire::Command command, size_t payload_bytes) {
  const size_t length = payload_bytes + 1;
  out[0] = static_cast<char>(length);
  out[1] = static_cast<char>(length >> 8);
  out[2] = static_cast<char>(length >> 16);
  out[3] = 0;
  out[4] = static_cast<char>(command);
}

wire::ClientHandshakeOptions LoginOptions(const ConnectOptions& options) {
  wire::ClientHandshakeOptions login;
  login.user = options.user;
  login.password = options.password;
  login.database = options.database;
  login.charset = options.charset;
  login.attributes = options.attributes;
  login.unix_socket = options.address.is_unix();
  if (!login.unix_socket) login.tls = options.tls;
  if (options.found_rows) login.capabilities |= wire::kClientFoundRows;
  return login;
}

}  // namespace

Connection::Connection(ConnectOptions options, io::StreamPtr stream)
    : options_(std::move(options)), stream_(std::move(stream)) {}

Connection::~Connection() { Close(); }

std::unexpected<Error> Connection::Broken(Error error) {
  usable_ = false;
  return Fail(error.Context("connection to mysqld at " + options_.address.ToString()));
}

io::Task<Result<std::unique_ptr<Connection>>> Connection::Connect(ConnectOptions options,
                                                                  Deadline deadline) {
  if (options.tls != wire::TlsMode::kOff && !options.address.is_unix() && !options.tls_context) {
    co_return Fail(Code::kInvalidArgument, "TLS to {} was asked for without a TLS context",
                   options.address.ToString());
  }
  Result<std::unique_ptr<io::Socket>> socket = co_await io::Connect(options.address, deadline);
  if (!socket) co_return Fail(socket.error());
  std::unique_ptr<Connection> connection(new Connection(std::move(options), *std::move(socket)));
  auto machine = std::make_unique<wire::ClientHandshake>(LoginOptions(connection->options_));
  Status login = co_await connection->Login(std::move(machine), false, deadline);
  if (!login) co_return Fail(login.error());
  for (size_t i = 0; i < connection->options_.init_statements.size(); ++i) {
    std::string sql = connection->options_.init_statements[i];
    Result<QueryResult> ran = co_await connection->Query(std::move(sql), deadline);
    if (!ran) co_return Fail(ran.error().Context(connection->options_.init_statements[i]));
  }
  co_return std::move(connection);
}

io::Task<Status> Connection::FillBuffer(Deadline deadline) {
  for (;;) {
    if (deadline.Passed(io::Loop::Current().Now())) {
      co_return Fail(Code::kDeadlineExceeded, "no complete answer before the deadline");
    }
    char* scratch = io::Loop::Current().scratch();
    Result<size_t> got = stream_->TryRead(scratch, io::Loop::kScratchSize);
    if (!got) co_return Fail(got.error());
    if (*got > 0) {
      buffer_.append(scratch, *got);
      co_return Status();
    }
    io::Wake wake = co_await stream_->WaitReadable(deadline);
    if (wake == io::Wake::kTimeout) {
      co_return Fail(Code::kDeadlineExceeded, "no complete answer before the deadline");
    }
    if (wake == io::Wake::kClosed) co_return Fail(Code::kCanceled, "connection was shut down");
  }
}

io::Task<Status> Connection::UpgradeToTls(Deadline deadline) {
  if (!buffer_.empty()) co_return Fail(Code::kInternal, "server spoke before TLS began");
  // Until here the stream is the socket that Connect made.
  std::unique_ptr<io::Socket> socket(static_cast<io::Socket*>(stream_.release()));
  Result<io::StreamPtr> tls =
      co_await io::TlsConnect(std::move(socket), options_.tls_context, deadline);
  if (!tls) co_return Fail(tls.error());
  stream_ = *std::move(tls);
  co_return Status();
}

io::Task<Status> Connection::Login(std::unique_ptr<wire::ClientHandshake> machine, bool change_user,
                                   Deadline deadline) {
  using Step = wire::ClientHandshake::Step;
  Step step = Step::kRead;
  if (change_user) step = machine->StartChangeUser(*handshake_);
  for (;;) {
    std::string output = machine->TakeOutput();
    if (!output.empty()) {
      Status sent = co_await stream_->WriteAll(output, deadline);
      if (!sent) co_return Broken(sent.error());
    }
    if (step == Step::kDone) break;
    if (step == Step::kFailed) co_return Broken(machine->error());
    if (step == Step::kStartTls) {
      Status upgraded = co_await UpgradeToTls(deadline);
      if (!upgraded) co_return Broken(upgraded.error());
      step = machine->OnTls();
      continue;
    }
    wire::PacketWalk walk(buffer_);
    std::string_view body;
    if (walk.Next(&body)) {
      step = machine->OnPacket(body, walk.sequence());
      buffer_.erase(0, buffer_.size() - walk.rest().size());
      continue;
    }
    if (buffer_.size() > kMaxLoginBytes)
      co_return Broken(Error(Code::kInternal, "endless login packet"));
    Status filled = co_await FillBuffer(deadline);
    if (!filled) co_return Broken(filled.error());
  }
  if (!buffer_.empty())
    co_return Broken(Error(Code::kInternal, "server spoke out of turn after the login"));
  handshake_ = std::move(machine);
  co_return Status();
}

io::Task<Status> Connection::SendCommand(wire::Command command, std::string_view payload,
                                         Deadline deadline) {
  if (!usable_) {
    co_return Fail(Code::kUnavailable, "connection to mysqld at {} is broken: open another",
                   options_.address.ToString());
  }
  if (deadline.Passed(io::Loop::Current().Now())) {
    co_return Fail(Code::kDeadlineExceeded, "deadline passed before a command was sent to {}",
                   options_.address.ToString());
  }
  char header[wire::kPacketHeaderBytes + 1];
  std::string split;  // a command of several packets, with its bytes between headers
  std::string_view rest = payload;
  size_t header_size = 0;
  response_sequence_ = 0;
  if (payload.size() + 1 < wire::kMaxPacketBody) {
    header_size = sizeof(header);
    WriteCommandHeader(header, command, payload.size());
    response_sequence_ = 1;
  } else {
    std::string body(1, static_cast<char>(command));
    body += payload;
    wire::AppendPacket(&split, body, &response_sequence_);
    rest = split;
  }
  iovec parts[2] = {{header, header_size}, {const_cast<char*>(rest.data()), rest.size()}};
  Result<size_t> written = stream_->TryWrite(parts, 2);
  if (!written) co_return Broken(written.error());
  if (*written < header_size + rest.size()) {
    std::string left(header, header_size);
    left += rest;
    left.erase(0, *written);
    Status sent = co_await stream_->WriteAll(left, deadline);
    if (!sent) co_return Broken(sent.error());
  }
  co_return Status();
}

io::Task<Result<std::vector<QueryResult>>> Connection::ReadResults(QueryLimits limits,
                                                                   Deadline deadline) {
  std::vector<QueryResult> results;
  std::optional<Error> failed;
  RawResult raw;
  scanner_.Start(wire::ResponseKind::kQuery, response_sequence_);
  for (;;) {
    wire::ScanStep step = scanner_.Scan(buffer_.data(), buffer_.size());
    if (!failed) {
      raw.meta.append(buffer_, 0, step.meta_bytes);
      raw.rows.append(buffer_, step.meta_bytes, step.row_bytes);
      if (scanner_.row_count() > limits.rows_max || raw.rows.size() > limits.bytes_max) {
        failed.emplace(Code::kResourceExhausted,
                       fmt::format("result is larger than {} rows or {} bytes", limits.rows_max,
                                   limits.bytes_max));
        raw = RawResult();
      }
    }
    buffer_.erase(0, step.consumed);
    if (step.event == wire::ScanEvent::kBroken || step.event == wire::ScanEvent::kLocalInfile) {
      co_return Broken(Error(Code::kInternal, "server broke the protocol in its answer"));
    }
    if (step.event == wire::ScanEvent::kNeedInput) {
      Status filled = co_await FillBuffer(deadline);
      if (!filled) co_return Broken(filled.error());
      continue;
    }
    if (scanner_.terminator().is_error()) {
      if (!failed) failed.emplace(wire::ErrorOf(scanner_.terminator()));
    } else if (!failed) {
      Result<QueryResult> decoded = Decode(raw, scanner_.terminator());
      if (!decoded) co_return Broken(decoded.error());
      results.push_back(*std::move(decoded));
    }
    raw = RawResult();
    if (step.event == wire::ScanEvent::kDone) break;
  }
  if (!buffer_.empty())
    co_return Broken(Error(Code::kInternal, "server sent more than its answer"));
  if (failed) co_return Fail(*failed);
  co_return results;
}

io::Task<Result<std::vector<QueryResult>>> Connection::QueryAll(std::string sql, Deadline deadline,
                                                                QueryLimits limits) {
  Status sent = co_await SendCommand(wire::Command::kQuery, sql, deadline);
  if (!sent) co_return Fail(sent.error());
  Result<std::vector<QueryResult>> results = co_await ReadResults(limits, deadline);
  co_return results;
}

io::Task<Result<QueryResult>> Connection::Query(std::string sql, Deadline deadline,
                                                QueryLimits limits) {
  Result<std::vector<QueryResult>> results = co_await QueryAll(std::move(sql), deadline, limits);
  if (!results) co_return Fail(results.error());
  co_return std::move(results->back());
}

io::Task<Status> Connection::Simple(wire::Command command, std::string payload, Deadline deadline) {
  Status sent = co_await SendCommand(command, payload, deadline);
  if (!sent) co_return Fail(sent.error());
  scanner_.Start(wire::ResponseKind::kSimple, response_sequence_);
  for (;;) {
    wire::ScanStep step = scanner_.Scan(buffer_.data(), buffer_.size());
    buffer_.erase(0, step.consumed);
    if (step.event == wire::ScanEvent::kDone) break;
    if (step.event != wire::ScanEvent::kNeedInput) {
      co_return Broken(Error(Code::kInternal, "server broke the protocol in its answer"));
    }
    Status filled = co_await FillBuffer(deadline);
    if (!filled) co_return Broken(filled.error());
  }
  if (scanner_.terminator().is_error()) co_return Fail(wire::ErrorOf(scanner_.terminator()));
  co_return Status();
}

io::Task<Status> Connection::Ping(Deadline deadline) {
  return Simple(wire::Command::kPing, std::string(), deadline);
}

io::Task<Status> Connection::Reset(Deadline deadline) {
  return Simple(wire::Command::kResetConnection, std::string(), deadline);
}

io::Task<Status> Connection::UseDatabase(std::string database, Deadline deadline) {
  return Simple(wire::Command::kInitDb, std::move(database), deadline);
}

io::Task<Status> Connection::ChangeUser(std::string user, std::string password,
                                        std::string database, Deadline deadline) {
  if (!usable_) co_return Fail(Code::kUnavailable, "connection to mysqld is broken: open another");
  options_.user = std::move(user);
  options_.password = std::move(password);
  options_.database = std::move(database);
  auto machine = std::make_unique<wire::ClientHandshake>(LoginOptions(options_));
  Status login = co_await Login(std::move(machine), true, deadline);
  co_return login;
}

void Connection::Close() {
  if (stream_ == nullptr) return;
  if (usable_ && handshake_ != nullptr) {
    char quit[] = {1, 0, 0, 0, static_cast<char>(wire::Command::kQuit)};
    iovec part{quit, sizeof(quit)};
    // Only a courtesy: the server sees the end of the stream anyway.
    (void)stream_->TryWrite(&part, 1);
  }
  usable_ = false;
  stream_->Shutdown();
}

}  // namespace paceline::mysql
