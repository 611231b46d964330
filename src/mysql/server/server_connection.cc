#include "mysql/server/server_connection.h"

#include "mysql/server/compressed_stream.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/proxy_header.h"
#include "mysql/wire/rows.h"

namespace paceline::mysql {
namespace {

// Names, passwords and connection attributes; MySQL itself stops at 64 KB of attributes.
constexpr size_t kMaxLoginPacketBytes = 256 * 1024;

// One huge command does not hold its memory for the rest of the session.
constexpr size_t kKeepCommandBytes = 1 << 20;

constexpr ErrorSpec kPacketTooLarge{"", Code::kResourceExhausted, 1153, "08S01", ""};
constexpr ErrorSpec kPacketsOutOfOrder{"", Code::kInvalidArgument, 1156, "08S01", ""};

}  // namespace

ServerConnection::ServerConnection(std::unique_ptr<io::Socket> socket, size_t max_command_bytes)
    : commands_(max_command_bytes) {
  peer_ = socket->PeerName();
  options_.unix_socket = socket->is_unix();
  stream_ = std::move(socket);
}

ServerConnection::~ServerConnection() = default;

io::Task<Result<std::string_view>> ServerConnection::ReadPacket(wire::PacketAssembler* packets,
                                                                Deadline deadline) {
  using Outcome = wire::PacketAssembler::Outcome;
  for (;;) {
    char* scratch = nullptr;
    std::span<const uint8_t> input = wire::AsBytes(pending_);
    size_t left_before = input.size();
    if (input.empty()) {
      scratch = io::Loop::Current().scratch();
      Result<size_t> got = stream_->TryRead(scratch, io::Loop::kScratchSize);
      if (!got) co_return Fail(got.error());
      if (*got == 0) {
        io::Wake wake = co_await stream_->WaitReadable(deadline);
        if (wake == io::Wake::kTimeout) {
          co_return Fail(Code::kDeadlineExceeded, "client {} was silent for too long", peer_);
        }
        if (wake == io::Wake::kClosed) co_return Fail(Code::kCanceled, "connection was shut down");
        continue;
      }
      input = wire::AsBytes(std::string_view(scratch, *got));
      left_before = input.size();
    }
    Outcome outcome = packets->Feed(&input);
    if (outcome == Outcome::kTooLarge) {
      co_return Fail(kPacketTooLarge, "Got a packet bigger than the limit of this server");
    }
    if (outcome == Outcome::kBadSequence)
      co_return Fail(kPacketsOutOfOrder, "Got packets out of order");
    // The body may lie in what comes next to be moved or reused: it is copied out first.
    if (outcome == Outcome::kPacket) {
      if (command_.capacity() > kKeepCommandBytes) std::string().swap(command_);
      command_.assign(packets->body());
    }
    if (scratch != nullptr) {
      pending_.assign(wire::AsText(input));
    } else {
      pending_.erase(0, left_before - input.size());
    }
    if (outcome == Outcome::kPacket) co_return std::string_view(command_);
  }
}

io::Task<Status> ServerConnection::UpgradeToTls(Deadline deadline) {
  // Until here the stream is the socket it began with.
  std::unique_ptr<io::Socket> socket(static_cast<io::Socket*>(stream_.release()));
  std::string early = std::move(pending_);
  pending_.clear();
  Result<io::StreamPtr> secured =
      co_await io::TlsAccept(std::move(socket), tls_, std::move(early), deadline);
  if (!secured) co_return Fail(secured.error());
  stream_ = *std::move(secured);
  co_return Status();
}

io::Task<Status> ServerConnection::RunMachine(wire::ServerHandshake* machine,
                                              wire::ServerHandshake::Step step, Deadline deadline) {
  using Step = wire::ServerHandshake::Step;
  wire::PacketAssembler packets(kMaxLoginPacketBytes);
  for (;;) {
    std::string output = machine->TakeOutput();
    if (!output.empty()) {
      Status sent = co_await stream_->WriteAll(output, deadline);
      if (!sent) co_return Fail(sent.error());
    }
    if (step == Step::kDone) break;
    if (step == Step::kFailed) co_return Fail(machine->error());
    if (step == Step::kStartTls) {
      Status upgraded = co_await UpgradeToTls(deadline);
      if (!upgraded) co_return Fail(upgraded.error());
      machine->OnTls();
    }
    Result<std::string_view> body = co_await ReadPacket(&packets, deadline);
    if (!body) co_return Fail(body.error());
    step = machine->OnPacket(*body, packets.sequence());
  }
  session_ = machine->session();
  co_return Status();
}

io::Task<Status> ServerConnection::Handshake(wire::ServerHandshakeOptions options,
                                             std::shared_ptr<io::TlsContext> tls,
                                             Deadline deadline) {
  bool unix_socket = options_.unix_socket;
  options_ = std::move(options);
  options_.unix_socket = unix_socket;
  options_.peer = unix_socket ? "localhost" : peer_.substr(0, peer_.rfind(':'));
  options_.tls_available = tls != nullptr;
  tls_ = std::move(tls);
  wire::ServerHandshake machine(options_);
  wire::ServerHandshake::Step first = machine.Start();
  Status done = co_await RunMachine(&machine, first, deadline);
  if (!done) co_return Fail(done.error());
  // From the first command on, and what came early with the login is compressed already.
  wire::Compression compression = wire::Compression::kNone;
  if (session_.capabilities & wire::kClientCompress) {
    compression = wire::Compression::kZlib;
  } else if (session_.capabilities & wire::kClientZstd) {
    compression = wire::Compression::kZstd;
  }
  if (compression != wire::Compression::kNone) {
    std::string early = std::exchange(pending_, {});
    stream_ = std::make_unique<CompressedStream>(std::move(stream_), compression, std::move(early));
  }
  writer_ = std::make_unique<io::Writer>(*stream_);
  co_return Status();
}

io::Task<Status> ServerConnection::ReadProxyHeader(Deadline deadline) {
  std::string head;
  for (;;) {
    Result<wire::ProxyHeader> header = wire::ParseProxyHeader(head);
    if (!header) co_return Fail(header.error().Context(peer_));
    if (header->whole) {
      pending_ = head.substr(header->consumed);
      bool named = !header->source_ip.empty();
      if (named) peer_ = io::Address::Tcp(header->source_ip, header->source_port).ToString();
      co_return Status();
    }
    char piece[wire::kMostProxyHeaderBytes];
    Result<size_t> got = co_await stream_->Read(piece, sizeof piece, deadline);
    if (!got) co_return Fail(got.error());
    head.append(piece, *got);
  }
}

io::Task<Status> ServerConnection::Refuse(Error error, Deadline deadline) {
  // Before the login no client expects a SQLSTATE in here.
  std::string body, packet;
  wire::PutU8(&body, 0xff);
  wire::PutU16(&body, error.mysql_errno());
  body += error.ToString();
  wire::AppendPacket(&packet, body, &sequence_);
  Status sent = co_await stream_->WriteAll(packet, deadline);
  co_return sent;
}

io::Task<Status> ServerConnection::ChangeUser(std::string body, Deadline deadline) {
  Status flushed = co_await Flush(deadline);
  if (!flushed) co_return Fail(flushed.error());
  wire::ServerHandshake machine(options_);
  uint8_t last = static_cast<uint8_t>(sequence_ - 1);
  wire::ServerHandshake::Step first = machine.StartChangeUser(body, last, session_);
  Status done = co_await RunMachine(&machine, first, deadline);
  co_return done;
}

io::Task<Result<CommandPacket>> ServerConnection::ReadCommand(Deadline deadline) {
  commands_.ExpectSequence(0);
  Result<std::string_view> body = co_await ReadPacket(&commands_, deadline);
  sequence_ = static_cast<uint8_t>(commands_.sequence() + 1);
  if (!body) {
    bool told = body.error().code() == Code::kResourceExhausted ||
                body.error().code() == Code::kInvalidArgument;
    if (told) WriteErr(body.error());
    co_return Fail(body.error());
  }
  if (body->empty()) {
    Error malformed(kPacketsOutOfOrder, "Got an empty command packet");
    WriteErr(malformed);
    co_return Fail(malformed);
  }
  CommandPacket packet;
  packet.body = *body;
  packet.command = static_cast<wire::Command>(packet.body[0]);
  co_return packet;
}

void ServerConnection::WriteTerminator(const wire::Terminator& terminator) {
  wire::AppendTerminator(&writer_->buffer(), terminator, session_.capabilities, &sequence_);
  Commit();
}

// What was written on a broken stream is dropped, so that a producer that does not look cannot fill
// the memory.
void ServerConnection::Commit() {
  if (writer_->status()) {
    writer_->Changed();
  } else {
    writer_->buffer().clear();
  }
}

void ServerConnection::WriteOk(uint16_t status_flags) {
  wire::Terminator ok;
  ok.status_flags = status_flags;
  WriteTerminator(ok);
}

void ServerConnection::WriteEof(uint16_t status_flags, uint16_t warnings) {
  wire::Terminator eof;
  eof.kind = wire::Terminator::Kind::kEof;
  eof.status_flags = status_flags;
  eof.warnings = warnings;
  WriteTerminator(eof);
}

void ServerConnection::WriteErr(const Error& error) { WriteTerminator(wire::TerminatorOf(error)); }

void ServerConnection::WriteText(std::string_view text) {
  wire::AppendPacket(&writer_->buffer(), text, &sequence_);
  writer_->Changed();
}

void ServerConnection::AppendMetadataEof(uint16_t status_flags) {
  wire::AppendMetadataEof(&writer_->buffer(), status_flags, 0, session_.capabilities, &sequence_);
}

void ServerConnection::AppendPatched(std::string_view packets) {
  std::string& out = writer_->buffer();
  size_t at = out.size();
  out.append(packets);
  patcher_.Patch(out.data() + at, packets.size());
  sequence_ = patcher_.next();
}

void ServerConnection::WriteColumns(uint64_t column_count, std::string_view packets,
                                    uint16_t status_flags) {
  std::string& out = writer_->buffer();
  size_t at = wire::BeginPacket(&out);
  wire::PutLenenc(&out, column_count);
  if (session_.capabilities & wire::kClientOptionalMetadata) wire::PutU8(&out, 1);
  wire::EndPacket(&out, at, &sequence_);
  wire::PacketWalk walk(packets);
  std::string_view count_packet;
  walk.Next(&count_packet);
  patcher_.Reset(sequence_);
  AppendPatched(walk.rest());
  AppendMetadataEof(status_flags);
  patcher_.Reset(sequence_);
  Commit();
}

void ServerConnection::WriteRows(std::string_view bytes) {
  AppendPatched(bytes);
  Commit();
}

void ServerConnection::WriteBufferedRows(std::string_view packets) {
  patcher_.Reset(sequence_);
  AppendPatched(packets);
  Commit();
}

void ServerConnection::WritePrepared(const wire::PrepareOk& ok, std::string_view parameters,
                                     std::string_view columns, uint16_t status_flags) {
  wire::AppendPrepareOk(&writer_->buffer(), ok, session_.capabilities, &sequence_);
  for (std::string_view definitions : {parameters, columns}) {
    if (definitions.empty()) continue;
    patcher_.Reset(sequence_);
    AppendPatched(definitions);
    AppendMetadataEof(status_flags);
  }
  Commit();
}

Status ServerConnection::WriteResult(const std::vector<value::Field>& fields,
                                     const std::vector<value::Row>& rows,
                                     const wire::Terminator& end, bool binary) {
  std::vector<wire::ColumnDefinition> columns;
  for (const value::Field& field : fields) columns.push_back(wire::FromField(field));
  const uint8_t first_sequence = sequence_;
  std::string definitions;
  uint8_t definition_sequence = 0;
  wire::AppendColumns(&definitions, columns, &definition_sequence);
  const size_t begin = writer_->buffer().size();
  WriteColumns(columns.size(), definitions, end.status_flags);
  for (const value::Row& row : rows) {
    std::vector<std::optional<std::string_view>> values = row.Columns();
    if (!binary) {
      wire::AppendTextRow(&writer_->buffer(), values, &sequence_);
      continue;
    }
    Status fits = wire::AppendBinaryRow(&writer_->buffer(), columns, values, &sequence_);
    if (!fits) {
      writer_->buffer().resize(begin);
      sequence_ = first_sequence;
      return fits;
    }
  }
  wire::Terminator last = end;
  last.kind = wire::Terminator::Kind::kEof;
  WriteTerminator(last);
  return {};
}

io::Task<Result<std::string>> ServerConnection::ReadLocalFile(std::string name, size_t most_bytes,
                                                              Deadline deadline) {
  wire::AppendPacket(&writer_->buffer(), "\xfb" + name, &sequence_);
  Commit();
  std::string content;
  bool too_large = false;
  for (;;) {
    commands_.ExpectSequence(sequence_);
    Result<std::string_view> body = co_await ReadPacket(&commands_, deadline);
    if (!body) co_return Fail(body.error());
    sequence_ = static_cast<uint8_t>(commands_.sequence() + 1);
    if (body->empty()) break;
    too_large = too_large || content.size() + body->size() > most_bytes;
    if (!too_large) content.append(*body);
  }
  if (too_large) {
    co_return Fail(Code::kResourceExhausted, "the file exceeds {} bytes: load it in parts",
                   most_bytes);
  }
  co_return content;
}

io::Task<Status> ServerConnection::WaitBelow(size_t bytes, Deadline deadline) {
  if (writer_ == nullptr) co_return Status();
  Status done = co_await writer_->WaitBelow(bytes, deadline);
  co_return done;
}

void ServerConnection::Shutdown() {
  if (writer_ != nullptr) writer_->Fail(Error(Code::kCanceled, "connection was shut down"));
  stream_->Shutdown();
}

}  // namespace paceline::mysql
