#include "vttablet/query/connection.h"

#include <string.h>
#include <sys/uio.h>

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "base/strings.h"
#include "io/loop.h"
#include "mysql/wire/client_handshake.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet.h"
#include "mysqld/version.h"

namespace paceline::vttablet {

using mysql::wire::Command;
using mysql::wire::kMaxPacketBody;
using mysql::wire::kPacketHeaderBytes;
using mysql::wire::Terminator;

namespace {

// What the gate and we ourselves learn from terminators: the GTID of an own write, a changed
// default schema, and that any other session state changed, so that it never passes on to another
// session unseen.
constexpr std::string_view kSetUpMysql =
    "SET NAMES utf8mb4, @@session.session_track_gtids = OWN_GTID, @@session.session_track_schema = "
    "ON, "
    "@@session.session_track_state_change = ON, @@session.session_track_transaction_info = 'OFF'";
// MariaDB tells its GTID as a tracked variable, and changed variables only by their names.
constexpr std::string_view kSetUpMariadb =
    "SET NAMES utf8mb4, @@session.session_track_schema = ON, @@session.session_track_state_change "
    "= ON, "
    "@@session.session_track_transaction_info = 'OFF', @@session.session_track_system_variables = "
    "'*'";

constexpr size_t kMaxLoginPacket = 64 * 1024;
constexpr uint16_t kAccessDenied = 1227;

}  // namespace

Connection::Connection(io::StreamPtr stream, size_t prepared_statements)
    : stream_(std::move(stream)),
      plain_(dynamic_cast<io::Socket*>(stream_.get())),
      writer_(*stream_),
      prepared_(prepared_statements) {}

std::string Connection::SetUp() const {
  std::string set_up(mariadb_ ? kSetUpMariadb : kSetUpMysql);
  if (can_mark_) {
    set_up += mariadb_ ? ", @@session.skip_replication = 0"
                       : fmt::format(", @@session.pseudo_thread_id = {}", thread_id_);
  }
  return set_up;
}

io::Task<Status> Connection::RunSetUp(Deadline deadline) {
  for (;;) {
    std::string set_up = SetUp();
    Result<Terminator> set = co_await Run(Command::kQuery, set_up, deadline);
    if (!set) co_return Fail(set.error());
    if (!set->is_error()) break;
    // A user made by somebody else may lack the privilege; then nothing is marked.
    const bool denied = can_mark_ && set->error_number == kAccessDenied;
    if (!denied) co_return Fail(mysql::wire::ErrorOf(*set));
    can_mark_ = false;
  }
  marked_ = 0;
  co_return Status();
}

io::Task<Result<ConnectionPtr>> Connection::Dial(MysqldOptions options, bool found_rows,
                                                 Deadline deadline) {
  const Clock& clock = io::Loop::Current().clock();
  deadline = deadline.EarlierOf(Deadline::After(clock, options.connect_timeout));
  Result<std::unique_ptr<io::Socket>> socket = co_await io::Connect(options.address, deadline);
  if (!socket) co_return Fail(socket.error().Context("mysqld"));
  ConnectionPtr connection(new Connection(std::move(*socket), options.prepared_statements));
  Status ready = co_await connection->Login(options, found_rows, deadline);
  if (!ready) co_return Fail(ready.error().Context(options.address.ToString()));
  Status set = co_await connection->RunSetUp(deadline);
  if (!set && set.error().from_mysql()) {
    co_return Fail(Code::kFailedPrecondition, "setting up a session on {}: {}",
                   options.address.ToString(), set.error().message());
  }
  if (!set) co_return Fail(set.error());
  connection->made_at_ = clock.Now();
  co_return connection;
}

io::Task<Status> Connection::Login(const MysqldOptions& options, bool found_rows,
                                   Deadline deadline) {
  mysql::wire::ClientHandshakeOptions login;
  login.user = options.user;
  login.password = options.password;
  login.database = options.database;
  login.unix_socket = options.address.is_unix();
  login.capabilities |= mysql::wire::kClientLocalFiles;  // the files are those of clients
  if (found_rows) login.capabilities |= mysql::wire::kClientFoundRows;
  mysql::wire::ClientHandshake handshake(std::move(login));
  mysql::wire::ClientHandshake::Step step = mysql::wire::ClientHandshake::Step::kRead;
  std::string body;
  while (step == mysql::wire::ClientHandshake::Step::kRead) {
    char header_bytes[kPacketHeaderBytes];
    Status read = co_await stream_->ReadFull(header_bytes, sizeof header_bytes, deadline);
    if (!read) co_return read;
    mysql::wire::PacketHeader header = mysql::wire::ReadPacketHeader(header_bytes);
    if (header.length > kMaxLoginPacket) co_return Fail(Code::kUnavailable, "not a MySQL server");
    body.resize(header.length);
    read = co_await stream_->ReadFull(body.data(), body.size(), deadline);
    if (!read) co_return read;
    step = handshake.OnPacket(body, header.sequence);
    std::string output = handshake.TakeOutput();
    if (!output.empty()) {
      writer_.Append(output);
      Status written = co_await writer_.Flush(deadline);
      if (!written) co_return written;
    }
  }
  if (step == mysql::wire::ClientHandshake::Step::kFailed) co_return Fail(handshake.error());
  if (step != mysql::wire::ClientHandshake::Step::kDone) {
    co_return Fail(Code::kUnimplemented, "mysqld asks for TLS, which pools do not use");
  }
  thread_id_ = handshake.greeting().connection_id;
  mariadb_ = handshake.greeting().is_mariadb();
  dialect_.flavor = mariadb_ ? sql::Flavor::kMariadb : sql::Flavor::kMysql;
  Result<mysqld::ServerVersion> version =
      mysqld::ParseVersionText(handshake.greeting().server_version);
  if (version) {
    dialect_.version =
        static_cast<uint32_t>(version->major * 10000 + version->minor * 100 + version->patch);
  }
  can_mark_ = true;
  found_rows_ = found_rows;
  database_ = options.database;
  co_return Status();
}

Status Connection::Send(Command command, std::string_view part, std::string_view more) {
  const char byte = static_cast<char>(command);
  const size_t length = 1 + part.size() + more.size();
  const auto kind = mysql::wire::ResponseKindOf(static_cast<uint8_t>(command));
  if (length >= kMaxPacketBody) {
    std::string& out = writer_.buffer();
    uint8_t sequence = 0;
    size_t at = mysql::wire::BeginPacket(&out);
    out.push_back(byte);
    out.append(part);
    out.append(more);
    mysql::wire::EndPacket(&out, at, &sequence);
    scanner_.Start(kind, sequence);
    writer_.FlushNow();
    return writer_.status();
  }
  scanner_.Start(kind);
  char head[kPacketHeaderBytes + 1] = {static_cast<char>(length), static_cast<char>(length >> 8),
                                       static_cast<char>(length >> 16), 0, byte};
  if (!writer_.status()) return writer_.status();
  size_t taken = 0;
  if (writer_.backlog() == 0) {
    iovec parts[3] = {{head, sizeof head},
                      {const_cast<char*>(part.data()), part.size()},
                      {const_cast<char*>(more.data()), more.size()}};
    ASSIGN_OR_RETURN(taken, stream_->TryWrite(parts, more.empty() ? 2 : 3));
    if (taken == sizeof head + part.size() + more.size()) return {};
  }
  std::string_view rest[3] = {std::string_view(head, sizeof head), part, more};
  for (std::string_view one : rest) {
    size_t skip = std::min(taken, one.size());
    taken -= skip;
    writer_.Append(one.substr(skip));
  }
  writer_.FlushNow();
  return writer_.status();
}

void Connection::SendLater(Command command, std::string_view body) {
  std::string& out = writer_.buffer();
  uint8_t sequence = 0;
  size_t at = mysql::wire::BeginPacket(&out);
  out.push_back(static_cast<char>(command));
  out.append(body);
  mysql::wire::EndPacket(&out, at, &sequence);
}

void Connection::SendAhead(Command command, std::string_view part, std::string_view more) {
  CHECK(!has_ahead_);
  std::string& out = writer_.buffer();
  uint8_t sequence = 0;
  size_t at = mysql::wire::BeginPacket(&out);
  out.push_back(static_cast<char>(command));
  out.append(part);
  out.append(more);
  mysql::wire::EndPacket(&out, at, &sequence);
  ahead_.Start(mysql::wire::ResponseKindOf(static_cast<uint8_t>(command)), sequence);
  has_ahead_ = true;
}

io::Task<Result<Terminator>> Connection::Run(Command command, std::string_view body,
                                             Deadline deadline) {
  Status sent = Send(command, body);
  if (!sent) co_return Fail(sent.error());
  Result<Terminator> end = co_await Query(kNoBody, nullptr, 0, deadline);
  co_return end;
}

io::Task<Result<Terminator>> Connection::Query(std::string_view sql, std::string* rows,
                                               size_t limit, Deadline deadline) {
  if (!sql.empty()) {
    Status sent = Send(Command::kQuery, sql);
    if (!sent) co_return Fail(sent.error());
  }
  if (!flushed()) {
    Status flushed = co_await writer_.Flush(deadline);
    if (!flushed) co_return Fail(flushed.error());
  }
  io::Loop& loop = io::Loop::Current();
  std::string held;  // the end of a chunk that the scanner wants to see again
  for (;;) {
    memcpy(loop.scratch(), held.data(), held.size());
    Result<size_t> got =
        stream_->TryRead(loop.scratch() + held.size(), io::Loop::kScratchSize - held.size());
    if (!got) co_return Fail(got.error());
    if (*got == 0) {
      io::Wake wake = co_await stream_->WaitReadable(deadline);
      if (wake == io::Wake::kTimeout) {
        co_return Fail(Code::kDeadlineExceeded, "mysqld does not answer in time");
      }
      if (wake == io::Wake::kClosed) co_return Fail(Code::kCanceled, "connection was shut down");
      continue;
    }
    std::string_view input(loop.scratch(), held.size() + *got);
    for (;;) {
      mysql::wire::ResultScanner& scanner = has_ahead_ ? ahead_ : scanner_;
      mysql::wire::ScanStep step = scanner.Scan(input.data(), input.size());
      if (has_ahead_ && step.event == mysql::wire::ScanEvent::kDone) {
        input.remove_prefix(step.consumed);
        has_ahead_ = false;
        continue;
      }
      std::string_view row_bytes = input.substr(step.meta_bytes, step.row_bytes);
      if (rows != nullptr && rows->size() + row_bytes.size() <= limit) rows->append(row_bytes);
      input.remove_prefix(step.consumed);
      if (step.event == mysql::wire::ScanEvent::kDone) {
        Terminator end = scanner_.terminator();
        if (!end.is_error()) status_flags = end.status_flags;
        co_return end;
      }
      if (step.event == mysql::wire::ScanEvent::kResultEnd) continue;
      if (step.event == mysql::wire::ScanEvent::kNeedInput) break;
      co_return Fail(Code::kUnavailable, "mysqld's answer does not follow the protocol");
    }
    held.assign(input);
  }
}

io::Task<Status> Connection::Reset(Deadline deadline) {
  tainted = true;
  Result<Terminator> reset = co_await Run(Command::kResetConnection, kNoBody, deadline);
  if (!reset) co_return Fail(reset.error());
  if (reset->is_error()) co_return Fail(mysql::wire::ErrorOf(*reset));
  prepared_.Clear();
  settings_ = nullptr;
  if (schema_changed) {  // which a reset leaves as it is
    Result<Terminator> used = co_await Run(Command::kInitDb, database_, deadline);
    if (!used) co_return Fail(used.error());
    if (used->is_error()) co_return Fail(mysql::wire::ErrorOf(*used));
    schema_changed = false;
  }
  Status set = co_await RunSetUp(deadline);
  if (!set) co_return set;
  tainted = false;
  co_return Status();
}

io::Task<Status> Connection::Apply(port::SettingsPtr wanted, Deadline deadline) {
  const uint64_t id = wanted != nullptr ? wanted->id : 0;
  if (!tainted && id == settings_id()) co_return Status();
  if (tainted || settings_ != nullptr) {
    Status reset = co_await Reset(deadline);
    if (!reset) co_return reset;
  }
  if (wanted == nullptr) co_return Status();
  tainted = true;
  Result<Terminator> set = co_await Run(Command::kQuery, wanted->apply, deadline);
  if (!set) co_return Fail(set.error());
  if (set->is_error()) co_return Fail(mysql::wire::ErrorOf(*set));
  settings_ = std::move(wanted);
  tainted = false;
  co_return Status();
}

io::Task<Result<Terminator>> Connection::ApplyOnTop(port::SettingsPtr wanted, Deadline deadline) {
  tainted = true;
  Result<Terminator> set = co_await Run(Command::kQuery, wanted->apply, deadline);
  if (set && !set->is_error()) settings_ = std::move(wanted);
  co_return set;
}

bool Connection::LooksAlive() {
  if (!writer_.status()) return false;
  if (plain_ != nullptr && !plain_->Readable(Deadline::Never()).await_ready()) return true;
  char byte;
  Result<size_t> got = stream_->TryRead(&byte, 1);
  return got && *got == 0;
}

}  // namespace paceline::vttablet
