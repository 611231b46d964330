// LOAD DATA LOCAL: the file lies with the client, and the gate hands its content on with the
// statement. The gate's own disk is never read.
#include "base/strings.h"
#include "sql/lexer.h"
#include "vtgate/quiet_sink.h"
#include "vtgate/session.h"

namespace paceline::vtgate {
namespace {

// Held here and in the tablet while it is loaded.
constexpr size_t kMostFileBytes = 64 << 20;

// The name behind INFILE.
std::string FileNameOf(std::string_view text, const sql::Dialect& dialect) {
  sql::Lexer lexer(text, dialect);
  bool behind = false;
  for (sql::Token token = lexer.Next(); token.kind != sql::TokenKind::kEnd; token = lexer.Next()) {
    std::string_view word = text.substr(token.begin, token.size());
    if (behind) return sql::Unquote(word, dialect);
    behind = EqualsIgnoreCase(word, "infile");
  }
  return "";
}

Error Disabled(bool mariadb) {
  if (mariadb) {
    return Error::FromMysql(4166, "HY000",
                            "The used command is not allowed because the MariaDB server or client "
                            "has disabled the local infile capability");
  }
  return Error::FromMysql(3948, "42000",
                          "Loading local data is disabled; this must be enabled on both the client "
                          "and server sides");
}

}  // namespace

io::Task<Status> Session::LoadLocal(Statement statement, const plan::Plan& plan) {
  AnswerSink* client = statement.sink;
  std::string kept(statement.text);  // the client's packets take the place of its command
  statement.text = kept;
  if (!identity_.local_files) {
    Error disabled = Disabled(dialect_.flavor == sql::Flavor::kMariadb);
    co_return WriteError(statement, disabled);
  }
  // First with an empty file, which changes nothing: as with mysqld, the client is asked for its
  // file only when nothing is wrong with the statement.
  QuietSink rehearsal;
  statement.sink = &rehearsal;
  statement.parameters = std::string_view("", 0);
  Status tried = co_await RunPlan(statement, plan);
  statement.sink = client;
  if (!tried) co_return tried;
  StartAnswer(statement, target_.keyspace);
  if (rehearsal.error()) co_return WriteError(statement, *rehearsal.error());
  if (rehearsal.last().is_error()) {
    client->OnEnd(rehearsal.last(), true);
    co_return Status();
  }
  std::string name = FileNameOf(statement.text, dialect_);
  Result<std::string> content =
      co_await client->ReadLocalFile(std::move(name), kMostFileBytes, statement.deadline);
  if (!content) {
    bool ready = content.error().code() == Code::kResourceExhausted ||
                 content.error().code() == Code::kUnimplemented;
    if (!ready) co_return Fail(content.error());
    co_return WriteError(statement, content.error());
  }
  statement.parameters = *content;
  Status done = co_await RunPlan(statement, plan);
  co_return done;
}

}  // namespace paceline::vtgate
