#include "backup/archive_replay.h"

#include "base/log.h"
#include "base/rng.h"
#include "base/strings.h"
#include "gtid/sid_block.h"
#include "io/blocking.h"
#include "io/sleep.h"
#include "mysql/wire/codec.h"

namespace paceline::backup {

namespace binlog = mysql::binlog;
using mysql::CommandPacket;
using mysql::wire::Command;

namespace {

constexpr size_t kBacklogMax = 4u << 20;
constexpr std::string_view kUser = "paceline_archive";
// An IO thread that cannot connect for so long will not.
constexpr Duration kConnectPatience = 30s;

void PutHeader(std::string* out, uint8_t type, uint32_t server_id, size_t body, uint16_t flags) {
  using namespace mysql::wire;
  PutU32(out, 0);
  PutFixed(out, type, 1);
  PutU32(out, server_id);
  PutU32(out, static_cast<uint32_t>(binlog::kHeaderSize + body + binlog::kChecksumSize));
  PutU32(out, 0);
  PutU16(out, flags);
}

void PutChecksum(std::string* event) {
  uint32_t sum = binlog::ChecksumOf(*event);
  mysql::wire::PutU32(event, sum);
}

std::string RotateTo(std::string_view log, uint32_t server_id) {
  constexpr uint16_t kArtificial = 0x20;
  std::string event;
  PutHeader(&event, binlog::kRotate, server_id, 8 + log.size(), kArtificial);
  mysql::wire::PutU64(&event, 4);
  event += log;
  PutChecksum(&event);
  return event;
}

// Events of a server that wrote none.
std::string WithChecksum(std::string_view event) {
  std::string out(event);
  std::string size;
  mysql::wire::PutU32(&size, static_cast<uint32_t>(event.size() + binlog::kChecksumSize));
  out.replace(9, 4, size);
  PutChecksum(&out);
  return out;
}

std::string FormatWithChecksums(std::string event) {
  event.resize(event.size() - binlog::kChecksumSize);
  event.back() = 1;
  PutChecksum(&event);
  return event;
}

value::Field Column(std::string name) {
  value::Field field;
  field.name = std::move(name);
  field.type = value::Type::kVarchar;
  field.charset = value::kUtf8mb4GeneralCi;
  field.column_length = 1024;
  return field;
}

}  // namespace

struct ArchiveSource::User final : mysql::wire::UserStore {
  std::vector<mysql::wire::UserEntry> Find(std::string_view name) const override {
    if (name != kUser) return {};
    mysql::wire::UserEntry entry;
    entry.plain = password;
    return {entry};
  }
  std::string password = HexEncode(RandomBytes(12));
};

ArchiveSource::ArchiveSource(io::Loop& loop, Archive archive, RestorePoint point,
                             mysqld::ServerVersion server)
    : loop_(loop),
      archive_(std::move(archive)),
      point_(std::move(point)),
      server_(std::move(server)),
      user_(std::make_unique<User>()) {
  std::string hex = HexEncode(RandomBytes(16));
  uuid_ = fmt::format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4),
                      hex.substr(16, 4), hex.substr(20, 12));
  // Above those that tablets are given.
  server_id_ = 0xf0000000u + static_cast<uint32_t>(ThreadRng().Below(0xfffffff));
}

ArchiveSource::~ArchiveSource() = default;

Status ArchiveSource::Start() {
  ASSIGN_OR_RETURN(listener_, io::Listener::Listen(loop_, io::Address::Tcp("127.0.0.1", 0)));
  io::Detach(Accept(*this));
  return {};
}

mysqld::SourceOptions ArchiveSource::address() const {
  mysqld::SourceOptions options;
  options.host = "127.0.0.1";
  options.port = listener_->port();
  options.user = kUser;
  options.password = user_->password;
  return options;
}

io::Task<void> ArchiveSource::Stop(Deadline deadline) {
  if (listener_) listener_->Close();
  if (serving_ != nullptr) serving_->Shutdown();
  bool left = co_await gate_.Close(deadline);
  if (!left) LOG_WARNING("a source of archived transactions did not end in time");
}

io::Task<void> ArchiveSource::Accept(ArchiveSource& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass && !self.gate_.closed()) {
    Result<int> fd = co_await self.listener_->Accept(Deadline::Never());
    if (!fd) break;
    mysql::ServerConnection client(std::make_unique<io::Socket>(self.loop_, *fd));
    self.serving_ = &client;
    Status served = co_await self.Serve(client);
    self.serving_ = nullptr;
    client.Shutdown();
    if (!served) LOG_INFO("a reader of the archive left: {}", served.error().ToString());
  }
}

void ArchiveSource::Answer(mysql::ServerConnection& client, std::string_view sql) {
  std::string lower = Lower(sql);
  auto has = [&lower](std::string_view word) { return lower.find(word) != lower.npos; };
  if (lower.starts_with("set ")) {
    constexpr std::string_view kState = "@slave_connect_state='";
    if (size_t at = lower.find(kState); at != lower.npos) {
      std::string_view rest = sql.substr(at + kState.size());
      connect_state_ = rest.substr(0, rest.find('\''));
    }
    client.WriteOk();
    return;
  }
  std::string value;
  if (has("unix_timestamp")) {
    value = std::to_string(loop_.clock().WallNow().unix_ns / 1'000'000'000);
  } else if (has("server_id")) {
    value = std::to_string(server_id_);
  } else if (has("server_uuid")) {
    value = uuid_;
  } else if (has("gtid_mode")) {
    value = "ON";
  } else if (has("binlog_checksum")) {
    value = "CRC32";
  } else if (has("gtid_domain_id")) {
    value = "0";
  } else {
    LOG_INFO("a reader of the archive asked what is not answered: {}", sql);
    client.WriteErr(Error::FromMysql(1193, "HY000", "Unknown system variable"));
    return;
  }
  std::vector<value::Field> fields;
  value::Row row;
  if (lower.starts_with("show ")) {
    fields.push_back(Column("Variable_name"));
    row.Append("server_id");
  }
  fields.push_back(Column("Value"));
  row.Append(value);
  mysql::wire::Terminator end;
  end.kind = mysql::wire::Terminator::Kind::kEof;
  end.status_flags = mysql::wire::kStatusAutocommit;
  Status written = client.WriteResult(fields, {row}, end);
  if (!written) LOG_WARNING("{}", written.error().ToString());
}

io::Task<Status> ArchiveSource::Serve(mysql::ServerConnection& client) {
  mysql::wire::ServerHandshakeOptions login;
  login.server_version = server_.mariadb() ? "5.5.5-" + server_.text : server_.text;
  login.users = user_.get();
  // Else statements have attributes before them.
  login.capabilities &= ~mysql::wire::kClientQueryAttributes;
  login.default_plugin =
      server_.mariadb() ? mysql::wire::kNativePlugin : mysql::wire::kCachingSha2Plugin;
  Status in = co_await client.Handshake(login, nullptr, Deadline::In(10s));
  if (!in) co_return in;
  for (;;) {
    Result<CommandPacket> command = co_await client.ReadCommand(Deadline::In(60s));
    if (!command) co_return Fail(command.error());
    std::string payload(command->payload());
    Result<gtid::Set> have = gtid::Set();
    switch (command->command) {
      case Command::kQuit:
        co_return Status();
      case Command::kQuery:
        Answer(client, payload);
        continue;
      case Command::kPing:
      case Command::kRegisterReplica:
        client.WriteOk();
        continue;
      case Command::kBinlogDump:
        have = gtid::Set::Parse(gtid::Flavor::kMariadb, connect_state_);
        break;
      case Command::kBinlogDumpGtid: {
        mysql::wire::Reader request(payload);
        request.U16();
        request.U32();
        request.Skip(request.U32());
        request.U64();
        request.U32();
        have = gtid::FromSidBlock(request.TakeRest());
        break;
      }
      default:
        client.WriteErr(Error(Code::kUnimplemented, "only a binary log is served here"));
        continue;
    }
    Status dumped = have ? Status() : Status(Fail(have.error()));
    if (dumped) dumped = co_await Dump(client, *have);
    if (!dumped) {
      client.WriteErr(Error::FromMysql(1236, "HY000", dumped.error().ToString()));
      [[maybe_unused]] Status told = co_await client.Flush(Deadline::In(1s));
    }
    co_return dumped;
  }
}

Status ArchiveSource::Send(mysql::ServerConnection& client, std::string event) {
  event.insert(0, 1, '\0');
  client.WriteText(event);
  bytes_ += event.size();
  return client.status();
}

io::Task<Status> ArchiveSource::Dump(mysql::ServerConnection& client, gtid::Set have) {
  using Opened = Result<std::shared_ptr<ArchiveReader>>;
  std::function<Opened()> open = [archive = archive_, have, point = point_]() -> Opened {
    ASSIGN_OR_RETURN(ArchiveReader reader, ArchiveReader::Open(archive, have, point));
    return std::make_shared<ArchiveReader>(std::move(reader));
  };
  Opened reader = co_await io::RunBlocking<Opened>(std::move(open));
  if (!reader) {
    error_ = reader.error().ToString();
    co_return Fail(reader.error());
  }
  std::string log;
  bool checksums = true;
  const uint64_t before = transactions_;  // a reader that comes again goes on
  for (;;) {
    std::function<Result<ArchiveReader::Batch>()> next = [reader = *reader] {
      return reader->Next();
    };
    auto batch = co_await io::RunBlocking<Result<ArchiveReader::Batch>>(std::move(next));
    if (!batch) {
      error_ = batch.error().ToString();
      co_return Fail(batch.error());
    }
    if (batch->end) break;
    std::string head = batch->log + batch->format;
    if (head != log && !batch->events.empty()) {
      log = head;
      std::string_view format = std::string_view(batch->format);
      checksums = format[format.size() - binlog::kChecksumSize - 1] == 1;
      Status sent = Send(client, RotateTo(batch->log, server_id_));
      if (sent) sent = Send(client, checksums ? batch->format : FormatWithChecksums(batch->format));
      if (!sent) co_return sent;
    }
    std::string_view rest = batch->events;
    while (!rest.empty()) {
      size_t size = binlog::ParseHeader(rest).size;
      std::string event =
          checksums ? std::string(rest.substr(0, size)) : WithChecksum(rest.substr(0, size));
      Status sent = Send(client, std::move(event));
      if (!sent) co_return sent;
      rest.remove_prefix(size);
      if (client.backlog() < kBacklogMax) continue;
      sent = co_await client.WaitBelow(kBacklogMax / 2, Deadline::In(std::chrono::minutes(10)));
      if (!sent) co_return sent;
    }
    transactions_ = before + (*reader)->transactions();
    if ((*reader)->last_unix_s() != 0) last_unix_s_ = (*reader)->last_unix_s();
  }
  position_ = (*reader)->position();
  finished_ = true;
  // The reader stays until it leaves by itself or is sent away.
  Result<CommandPacket> left = co_await client.ReadCommand(Deadline::Never());
  (void)left;
  co_return Status();
}

namespace {

io::Task<Result<ReplayReport>> Follow(io::Loop& loop, mysqld::Replication& server,
                                      ArchiveSource& source, std::function<bool(std::string)> told,
                                      Deadline deadline) {
  Status done = co_await server.SetSource(source.address(), deadline);
  if (done) done = co_await server.Start(deadline);
  if (!done) co_return Fail(done.error());
  Time running_at = loop.Now();
  for (;;) {
    co_await io::SleepUntil(Deadline::In(100ms));
    if (!source.error().empty()) co_return Fail(Code::kDataLoss, "{}", source.error());
    if (deadline.Passed(loop.Now()))
      co_return Fail(Code::kDeadlineExceeded, "applying archived transactions");
    if (!told(fmt::format("applying the archive: {} transactions, {} MB sent",
                          source.transactions(), source.bytes() >> 20)))
      co_return Fail(Code::kCanceled, "it was given up");
    auto status = co_await server.Replica(Deadline::In(10s).EarlierOf(deadline));
    if (!status) co_return Fail(status.error());
    if (!*status) co_return Fail(Code::kCanceled, "somebody else ended the replication");
    const mysqld::ReplicationStatus& now = **status;
    if (source.finished() && ArchivePosition(now.executed).Covers(source.position())) {
      co_return ReplayReport{now.executed, source.transactions(), source.last_unix_s()};
    }
    if (now.applier_errno != 0) {
      co_return Fail(Code::kInternal, "applying archived transactions: error {}: {}",
                     now.applier_errno, now.applier_error);
    }
    if (now.io == mysqld::ThreadState::kRunning) running_at = loop.Now();
    if (loop.Now() - running_at > kConnectPatience || now.io == mysqld::ThreadState::kStopped) {
      co_return Fail(Code::kInternal, "mysqld does not read the archive: error {}: {}",
                     now.io_errno, now.io_error);
    }
  }
}

}  // namespace

io::Task<Result<ReplayReport>> ReplayArchive(io::Loop& loop, mysqld::Replication& server,
                                             Archive archive, RestorePoint point,
                                             std::function<bool(std::string)> told,
                                             Deadline deadline) {
  ArchiveSource source(loop, std::move(archive), std::move(point), server.version());
  Status started = source.Start();
  if (!started) co_return Fail(started.error());
  Result<ReplayReport> report = co_await Follow(loop, server, source, std::move(told), deadline);
  Deadline soon = Deadline::In(30s);
  Status forgotten = co_await server.ForgetSource(soon);
  co_await source.Stop(Deadline::In(10s));
  if (report && !forgotten) co_return Fail(forgotten.error());
  co_return report;
}

}  // namespace paceline::backup
