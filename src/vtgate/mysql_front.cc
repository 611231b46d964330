#include "vtgate/mysql_front.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "value/charset.h"
#include "vtgate/cursor_sink.h"
#include "vtgate/field_list_sink.h"
#include "vtgate/version_probe.h"

namespace paceline::vtgate {

using mysql::wire::Command;

namespace {

constexpr mysql::wire::Capabilities kOffered =
    mysql::wire::kServerCapabilities | mysql::wire::kClientCompress | mysql::wire::kClientZstd |
    mysql::wire::kClientLocalFiles;
// Those of them that MariaDB does not know.
constexpr mysql::wire::Capabilities kMysqlOnly = mysql::wire::kClientOptionalMetadata |
                                                 mysql::wire::kClientZstd |
                                                 mysql::wire::kClientQueryAttributes;

}  // namespace

// One connected client, for as long as its coroutine runs.
class MysqlFront::Client {
 public:
  Client(MysqlFront& front, std::unique_ptr<io::Socket> socket)
      : front_(front),
        options_(front.options_),
        connection_(std::move(socket)),
        sink_(connection_),
        id_(front.table_.NextId()) {
    front_.clients_->emplace(id_, this);
  }
  ~Client() {
    front_.clients_->erase(id_);
    front_.table_.Leave();
  }

  io::Task<void> Run();
  void Kill(bool query_only) {
    if (session_) session_->KillQuery();
    if (!query_only) killed_ = true;
    if (killed_ && !in_command_) connection_.Shutdown();
  }
  // True when there is nothing that a client would miss.
  bool Idle() const { return !in_command_ && !(logged_in_ && session_->in_transaction()); }
  void Shutdown() { connection_.Shutdown(); }

 private:
  struct Statement {
    PreparedStatement prepared;
    std::vector<mysql::wire::ParameterType> types;
    std::vector<std::string> long_data;
    std::vector<bool> has_long_data;
    std::unique_ptr<Cursor> cursor;
  };

  io::Task<Status> Login();
  io::Task<Status> OnCommand(mysql::CommandPacket packet);
  io::Task<Status> OnQuery(std::string_view body);
  io::Task<Status> OnPrepare(std::string_view text);
  io::Task<Status> OnExecute(std::string_view body);
  void OnFetch(std::string_view body);
  void OnProcessKill(std::string_view body);
  void OnSetOption(std::string_view payload);
  void WriteUnknownStatement(std::optional<uint32_t> id, std::string_view command);
  io::Task<Status> OnFieldList(std::string_view payload);
  Status OnLongData(std::string_view body);
  void OnInitDb(std::string_view name);
  void MakeSession();
  Status UseDatabaseOfLogin();
  SessionTable::Entry Entry();
  SessionRow Describe() const;
  // True, and the client is told, when its session was made for the wrong kind of server.
  bool GuessedWrong();

  MysqlFront& front_;
  std::shared_ptr<const MysqlFrontOptions> options_;
  mysql::ServerConnection connection_;
  ClientSink sink_;
  std::unique_ptr<Session> session_;
  std::map<uint32_t, Statement> statements_;
  uint32_t next_statement_ = 1;
  const uint64_t id_;
  bool logged_in_ = false;
  bool in_command_ = false;
  bool killed_ = false;
  bool guessed_ = false;  // the session's flavor: no server had told its own yet
  sql::Flavor flavor_ = sql::Flavor::kMysql;
};

void MysqlFront::Client::MakeSession() {
  const mysql::wire::ServerSession& login = connection_.session();
  SessionIdentity identity;
  identity.connection_id = id_;
  identity.user = login.user_data.empty() ? login.user : login.user_data;
  std::string peer = connection_.peer();
  identity.host = peer.substr(0, peer.rfind(':'));
  identity.groups = login.groups;
  identity.found_rows = login.capabilities & mysql::wire::kClientFoundRows;
  identity.multi_statements = login.capabilities & mysql::wire::kClientMultiStatements;
  identity.local_files = login.capabilities & mysql::wire::kClientLocalFiles;
  sql::Dialect dialect;
  dialect.flavor = flavor_ = FlavorOfVersion(front_.ServerVersion());
  session_ = std::make_unique<Session>(front_.gate_, std::move(identity), dialect);
  sink_.SetAccount(session_->values().current_user);
  if (login.capabilities & mysql::wire::kClientIgnoreSpace) session_->IgnoreSpace();
  // A collation that the server does not know leaves the session with the server's own default.
  const bool mysql_only = login.charset == 255 || (login.charset >= 248 && login.charset <= 250);
  if (mysql_only && dialect.flavor == sql::Flavor::kMariadb) return;
  std::string_view collation = value::CollationName(login.charset);
  if (!collation.empty())
    session_->SetCollation(value::CharsetOfCollation(login.charset), collation);
}

io::Task<Status> MysqlFront::Client::Login() {
  // A gate that has just started does not know yet what servers stand behind it.
  if (front_.VersionIsGuessed()) {
    bool known = co_await WaitForVersion(front_.gate_, Deadline::In(kVersionPatience));
    guessed_ = !known;
  }
  mysql::wire::ServerHandshakeOptions options;
  options.server_version = front_.ServerVersion();
  options.connection_id = static_cast<uint32_t>(id_);
  bool mariadb = FlavorOfVersion(options.server_version) == sql::Flavor::kMariadb;
  options.capabilities = kOffered;
  if (mariadb) options.capabilities &= ~kMysqlOnly;
  if (mariadb) options.charset = value::kUtf8mb4GeneralCi;
  options.require_tls = options_->require_tls;
  options.accept_all = options_->accept_all;
  options.users = options_->users.get();
  options.rsa_key = options_->rsa_key;
  std::shared_ptr<const TopologyView> topology = front_.gate_.topology;
  options.check_database = [topology](std::string_view database) {
    return CheckDatabase(*topology, database);
  };
  Deadline deadline = Deadline::In(options_->handshake_timeout);
  if (options_->proxy_protocol && !connection_.unix_socket()) {
    Status told = co_await connection_.ReadProxyHeader(deadline);
    if (!told) co_return told;
  }
  Status done = co_await connection_.Handshake(std::move(options), options_->tls, deadline);
  if (!done) co_return done;
  MakeSession();
  Status used = UseDatabaseOfLogin();
  co_return used;
}

Status MysqlFront::Client::UseDatabaseOfLogin() {
  const std::string& database = connection_.session().database;
  return database.empty() ? Status() : session_->Use(database);
}

io::Task<void> MysqlFront::Client::Run() {
  Status login = co_await Login();
  if (!login) {
    LOG_DEBUG("client {}: {}", connection_.peer(), login.error().ToString());
  } else {
    logged_in_ = true;
    front_.table_.Add(id_, Entry());
    while (!killed_ && !session_->closing()) {
      if (front_.gate_pass_.closed() && !session_->in_transaction()) break;
      Deadline idle = Deadline::In(options_->idle_timeout);
      Result<mysql::CommandPacket> packet = co_await connection_.ReadCommand(idle);
      if (!packet) break;
      if (packet->command == Command::kQuit) break;
      if (guessed_ && GuessedWrong()) break;
      in_command_ = true;
      Status done = co_await OnCommand(*packet);
      in_command_ = false;
      if (!done) break;
    }
    front_.table_.Remove(id_);
  }
  if (session_) co_await session_->Close();
  Status flushed = co_await connection_.Flush(Deadline::In(1s));
  if (!flushed) LOG_DEBUG("client {}: {}", connection_.peer(), flushed.error().ToString());
  connection_.Shutdown();
}

bool MysqlFront::Client::GuessedWrong() {
  guessed_ = front_.VersionIsGuessed();
  bool right = guessed_ || FlavorOfVersion(front_.ServerVersion()) == flavor_;
  if (!right) {
    connection_.WriteErr(Error::FromMysql(
        1053, "08S01",
        "The servers behind vtgate turned out to be of another kind: connect again"));
  }
  return !right;
}

SessionTable::Entry MysqlFront::Client::Entry() {
  SessionTable::Entry entry;
  entry.loop = &front_.loop_;
  std::shared_ptr<Clients> clients = front_.clients_;
  entry.kill = [clients, id = id_](bool query_only) {
    auto found = clients->find(id);
    if (found != clients->end()) found->second->Kill(query_only);
  };
  entry.describe = [clients, id = id_]() -> std::optional<SessionRow> {
    auto found = clients->find(id);
    if (found == clients->end()) return std::nullopt;
    return found->second->Describe();
  };
  return entry;
}

SessionRow MysqlFront::Client::Describe() const {
  SessionRow row;
  row.id = id_;
  row.host = connection_.peer();
  if (!session_) return row;  // between two users
  row.user = session_->identity().user;
  row.target = session_->target().ToString();
  row.state = in_command_ ? "running" : session_->in_transaction() ? "transaction" : "idle";
  row.pinned = session_->PinnedBecause();
  if (in_command_) row.statement = session_->running();
  return row;
}

io::Task<Status> MysqlFront::Client::OnCommand(mysql::CommandPacket packet) {
  sink_.StartCommand(packet.command == Command::kStmtExecute);
  switch (packet.command) {
    case Command::kQuery: {
      Status done = co_await OnQuery(packet.body);
      co_return done;
    }
    case Command::kStmtPrepare: {
      Status done = co_await OnPrepare(packet.payload());
      co_return done;
    }
    case Command::kStmtExecute: {
      Status done = co_await OnExecute(packet.body);
      co_return done;
    }
    case Command::kStmtSendLongData: {
      Status done = OnLongData(packet.body);
      co_return done;
    }
    case Command::kStmtClose: {
      std::optional<uint32_t> statement = mysql::wire::StatementIdOf(packet.body);
      if (statement) statements_.erase(*statement);
      co_return Status();
    }
    case Command::kStmtReset: {
      std::optional<uint32_t> statement = mysql::wire::StatementIdOf(packet.body);
      auto found = statement ? statements_.find(*statement) : statements_.end();
      if (found == statements_.end()) {
        WriteUnknownStatement(statement, "mysqld_stmt_reset");
      } else {
        found->second.cursor.reset();
        found->second.long_data.clear();
        found->second.has_long_data.clear();
        connection_.WriteOk(session_->StatusFlags());
      }
      co_return Status();
    }
    case Command::kInitDb:
      OnInitDb(packet.payload());
      co_return Status();
    case Command::kDebug:
      connection_.WriteErr(Error::FromMysql(
          1227, "42000",
          "Access denied; you need (at least one of) the SUPER privilege(s) for this operation"));
      co_return Status();
    case Command::kPing:
      connection_.WriteOk(session_->StatusFlags());
      co_return Status();
    case Command::kSetOption:
      OnSetOption(packet.payload());
      co_return Status();
    case Command::kStmtFetch:
      OnFetch(packet.body);
      co_return Status();
    case Command::kProcessKill:
      OnProcessKill(packet.payload());
      co_return Status();
    case Command::kFieldList: {
      Status done = co_await OnFieldList(packet.payload());
      co_return done;
    }
    case Command::kResetConnection: {
      Status done = co_await session_->Reset();
      statements_.clear();
      connection_.WriteOk(session_->StatusFlags());
      co_return done;
    }
    case Command::kChangeUser: {
      std::string body(packet.body);
      co_await session_->Close();
      statements_.clear();
      Status changed = co_await connection_.ChangeUser(std::move(body),
                                                       Deadline::In(options_->handshake_timeout));
      if (!changed) co_return changed;
      MakeSession();
      Status used = UseDatabaseOfLogin();
      co_return used;
    }
    case Command::kStatistics: {
      // One packet of text, not an OK.
      const uint64_t questions = front_.gate_.counters.queries;
      const long uptime = std::max<long>(1, (front_.loop_.Now() - front_.began_) / 1s);
      bool mariadb = FlavorOfVersion(front_.ServerVersion()) == sql::Flavor::kMariadb;
      std::string text = fmt::format(
          "Uptime: {}  Threads: {}  Questions: {}  Slow queries: 0  Opens: 0  {}Open tables: 0  "
          "Queries per second avg: {:.3f}",
          uptime, front_.table_.connections(), questions, mariadb ? "" : "Flush tables: 0  ",
          static_cast<double>(questions) / static_cast<double>(uptime));
      connection_.WriteText(text);
      co_return Status();
    }
    case Command::kBinlogDump:
    case Command::kBinlogDumpGtid:
    case Command::kRegisterReplica:
      connection_.WriteErr(Error(Code::kUnimplemented,
                                 "vtgate serves no binary log: replicate from a tablet's mysqld, "
                                 "or read a change stream"));
      co_return Status();
    default:
      connection_.WriteErr(Error::FromMysql(1047, "08S01", "Unknown command"));
      co_return Status();
  }
}

io::Task<Status> MysqlFront::Client::OnQuery(std::string_view body) {
  Result<mysql::wire::QueryCommand> query =
      mysql::wire::ParseQuery(body, connection_.session().capabilities);
  if (!query) {
    connection_.WriteErr(query.error());
    co_return Status();
  }
  Status done = co_await session_->Query(query->sql, sink_);
  co_return done;
}

io::Task<Status> MysqlFront::Client::OnPrepare(std::string_view text) {
  constexpr size_t kMostStatements =
      16'382;  // mysqld's max_prepared_stmt_count, here for each client
  if (statements_.size() >= kMostStatements) {
    connection_.WriteErr(Error::FromMysql(
        1461, "42000",
        fmt::format("Can't create more than max_prepared_stmt_count statements (current value: {})",
                    kMostStatements)));
    co_return Status();
  }
  uint32_t id = next_statement_++;
  Statement statement;
  statement.prepared.text = text;
  sink_.SetStatementId(id);
  auto [place, added] = statements_.emplace(id, std::move(statement));
  (void)added;
  Status done = co_await session_->Prepare(place->second.prepared.text, sink_);
  if (sink_.prepared()) {
    place->second.prepared.parameter_count = sink_.parameter_count();
  } else {
    statements_.erase(id);
  }
  co_return done;
}

Status MysqlFront::Client::OnLongData(std::string_view body) {
  Result<mysql::wire::LongDataCommand> data = mysql::wire::ParseLongData(body);
  if (!data) return {};  // this command has no answer, not even an error
  auto found = statements_.find(data->statement_id);
  if (found == statements_.end() || data->parameter >= found->second.prepared.parameter_count)
    return {};
  Statement& statement = found->second;
  statement.long_data.resize(statement.prepared.parameter_count);
  statement.has_long_data.resize(statement.prepared.parameter_count);
  size_t held = data->bytes.size();
  for (const std::string& one : statement.long_data) held += one.size();
  constexpr size_t kMostHeld = 64 << 20;
  if (held > kMostHeld)
    return Fail(Code::kResourceExhausted, "long data of one statement exceeds {} bytes", kMostHeld);
  statement.long_data[data->parameter] += data->bytes;
  statement.has_long_data[data->parameter] = true;
  return {};
}

io::Task<Status> MysqlFront::Client::OnExecute(std::string_view body) {
  std::optional<uint32_t> id = mysql::wire::StatementIdOf(body);
  auto found = id ? statements_.find(*id) : statements_.end();
  if (found == statements_.end()) {
    WriteUnknownStatement(id, "mysqld_stmt_execute");
    co_return Status();
  }
  Statement& statement = found->second;
  Result<mysql::wire::ExecuteCommand> command =
      mysql::wire::ParseExecute(body, statement.prepared.parameter_count, statement.types,
                                statement.has_long_data, connection_.session().capabilities);
  if (!command) {
    connection_.WriteErr(Error::FromMysql(1835, "HY000", "Malformed communication packet."));
    co_return Status();
  }
  if (command->types_sent) {
    statement.types.clear();
    for (const mysql::wire::Parameter& parameter : command->parameters)
      statement.types.push_back(parameter.type);
  }
  const bool wants_cursor = command->flags & mysql::wire::kCursorReadOnly;
  command->flags &= static_cast<uint8_t>(~mysql::wire::kCursorReadOnly);  // the cursor is here
  std::string tail = mysql::wire::WriteExecuteTail(*command, statement.long_data);
  statement.long_data.clear();
  statement.has_long_data.clear();
  statement.cursor.reset();
  if (!wants_cursor) {
    Status done = co_await session_->Execute(statement.prepared, tail, sink_);
    co_return done;
  }
  CursorSink sink(sink_, options_->most_cursor_bytes);
  Status done = co_await session_->Execute(statement.prepared, tail, sink);
  statement.cursor = sink.Take();
  co_return done;
}

void MysqlFront::Client::WriteUnknownStatement(std::optional<uint32_t> id,
                                               std::string_view command) {
  bool mariadb = FlavorOfVersion(front_.ServerVersion()) == sql::Flavor::kMariadb;
  connection_.WriteErr(
      Error::FromMysql(1243, "HY000",
                       fmt::format("Unknown prepared statement handler ({}) given to {}",
                                   id.value_or(0), mariadb ? command : "mysql_stmt_precheck")));
}

void MysqlFront::Client::OnFetch(std::string_view body) {
  std::optional<uint32_t> id = mysql::wire::StatementIdOf(body);
  auto found = id ? statements_.find(*id) : statements_.end();
  if (found == statements_.end()) {
    WriteUnknownStatement(id, "mysqld_stmt_fetch");
    return;
  }
  std::unique_ptr<Cursor>& cursor = found->second.cursor;
  if (cursor == nullptr) {
    bool mariadb = FlavorOfVersion(front_.ServerVersion()) == sql::Flavor::kMariadb;
    connection_.WriteErr(Error::FromMysql(
        1421, "HY000",
        fmt::format("The statement ({}) has no open cursor{}", *id, mariadb ? "" : ".")));
    return;
  }
  mysql::wire::Reader reader(body.substr(5));
  bool ended = false;
  std::string_view rows = cursor->Fetch(reader.U32(), &ended);
  connection_.WriteBufferedRows(rows);
  uint16_t flag = ended ? mysql::wire::kStatusLastRowSent : mysql::wire::kStatusCursorExists;
  connection_.WriteEof(session_->StatusFlags() | flag);
  if (ended) cursor.reset();
}

void MysqlFront::Client::OnProcessKill(std::string_view payload) {
  mysql::wire::Reader reader(payload);
  uint32_t id = reader.U32();
  if (front_.table_.Kill(id, false)) {
    connection_.WriteOk(session_->StatusFlags());
  } else {
    connection_.WriteErr(Error::FromMysql(1094, "HY000", fmt::format("Unknown thread id: {}", id)));
  }
}

void MysqlFront::Client::OnSetOption(std::string_view payload) {
  mysql::wire::Reader reader(payload);
  const uint16_t option = reader.U16();
  if (!reader.ok() || option > 1) {
    connection_.WriteErr(Error::FromMysql(1047, "08S01", "Unknown command"));
    return;
  }
  session_->SetMultiStatements(option == 0);
  connection_.WriteEof(session_->StatusFlags());
}

void MysqlFront::Client::OnInitDb(std::string_view name) {
  if (name.empty()) {
    connection_.WriteErr(Error::FromMysql(1046, "3D000", "No database selected"));
    return;
  }
  Status used = session_->Use(name);
  if (!used) {
    connection_.WriteErr(used.error());
    return;
  }
  mysql::wire::Terminator ok;
  ok.status_flags = session_->StatusFlags();
  if (session_->tracking().schema) {
    mysql::wire::AppendSessionState(
        &ok.session_state, {mysql::wire::SessionStateType::kSchema, "", std::string(name)});
    bool tracks = connection_.session().capabilities & mysql::wire::kClientSessionTrack;
    if (tracks) ok.status_flags |= mysql::wire::kStatusSessionStateChanged;
  }
  connection_.WriteTerminator(ok);
}

io::Task<Status> MysqlFront::Client::OnFieldList(std::string_view payload) {
  const size_t end = std::min(payload.find('\0'), payload.size());
  std::string table(payload.substr(0, end));
  std::string wildcard(payload.substr(std::min(end + 1, payload.size())));
  if (table.empty()) {
    connection_.WriteErr(Error::FromMysql(
        1146, "42S02", fmt::format("Table '{}.' doesn't exist", session_->target().keyspace)));
    co_return Status();
  }
  std::string text = "SELECT * FROM " + QuoteIdentifier(table) + " LIMIT 0";
  FieldListSink sink(sink_, wildcard);
  Status done = co_await session_->Query(text, sink);
  co_return done;
}

MysqlFront::MysqlFront(io::Loop& loop, GateContext& gate, SessionTable& table,
                       std::shared_ptr<const MysqlFrontOptions> options)
    : loop_(loop), gate_(gate), table_(table), options_(std::move(options)) {}

const std::string& MysqlFront::ServerVersion() const {
  static const std::string before_any_tablet = "8.4.6-Paceline";
  if (!options_->server_version.empty()) return options_->server_version;
  return gate_.server_version.empty() ? before_any_tablet : gate_.server_version;
}

bool MysqlFront::VersionIsGuessed() const {
  return options_->server_version.empty() && gate_.server_version.empty();
}

void MysqlFront::Serve(int fd) {
  auto socket = std::make_unique<io::Socket>(loop_, fd);
  std::optional<io::Gate::Pass> pass = gate_pass_.Enter();
  if (!pass) return;
  if (!table_.Enter(options_->most_connections)) {
    io::Detach(TurnAway(std::move(*pass), std::move(socket)));
    return;
  }
  io::Detach(Run(*this, std::move(*pass), std::move(socket)));
}

io::Task<void> MysqlFront::TurnAway(io::Gate::Pass pass, std::unique_ptr<io::Socket> socket) {
  io::Gate::Pass held(std::move(pass));
  mysql::ServerConnection connection(std::move(socket));
  Error full = Error::FromMysql(1040, "08004", "Too many connections");
  Status told = co_await connection.Refuse(full, Deadline::In(1s));
  if (!told) LOG_DEBUG("{}: {}", connection.peer(), told.error().ToString());
}

io::Task<void> MysqlFront::Run(MysqlFront& front, io::Gate::Pass pass,
                               std::unique_ptr<io::Socket> socket) {
  io::Gate::Pass held(std::move(pass));
  Client client(front, std::move(socket));
  co_await client.Run();
}

io::Task<void> MysqlFront::Stop(Deadline deadline) {
  Deadline graceful = deadline.EarlierOf(
      Deadline::In(std::max<Duration>(Duration(0), deadline.Left(loop_.Now()) - 1s)));
  for (auto& [id, client] : *clients_) {
    if (client->Idle()) client->Shutdown();
  }
  bool left = co_await gate_pass_.Close(graceful);
  if (left) co_return;
  for (auto& [id, client] : *clients_) {
    client->Kill(false);
    client->Shutdown();
  }
  left = co_await gate_pass_.Close(deadline);
  if (!left) LOG_WARNING("{} client connections did not end in time", gate_pass_.count());
}

}  // namespace paceline::vtgate
