#include "sql/replication_variables.h"

#include <algorithm>
#include <iterator>

#include "base/strings.h"
#include "sql/lexer.h"

namespace paceline::sql {
namespace {

// Found in place of a variable.
constexpr std::string_view kAccount = "account", kPassword = "password";
constexpr int kMaxDepth = 4;  // of PREPARE within PREPARE, which MySQL refuses altogether

class Walk {
 public:
  Walk(std::string_view text, const Dialect& dialect, int depth, ReplicationSets& out)
      : text_(text), dialect_(dialect), depth_(depth), out_(out), lexer_(text, dialect) {}

  void Run() {
    bool first = true;
    for (Token token = lexer_.Next(); token.kind != TokenKind::kEnd && out_.variable.empty();
         token = lexer_.Next()) {
      if (token.Is(';')) {
        first = true;
        modifies_ = creates_ = false;
        ++statement_;
        continue;
      }
      See(token, first);
      first = false;
    }
  }

 private:
  Token Ahead() const {
    Lexer copy = lexer_;
    return copy.Next();
  }

  void See(const Token& token, bool first) {
    switch (token.keyword) {
      case Keyword::kAlter:
        if ((first || body_) && Ahead().Is(Keyword::kUser)) out_.variable = kAccount;
        [[fallthrough]];
      case Keyword::kCreate:
        creates_ = creates_ || first;
        break;
      case Keyword::kProcedure:
      case Keyword::kFunction:
      case Keyword::kTrigger:
      case Keyword::kEvent:
      case Keyword::kPackage:
        body_ = body_ || creates_;
        break;
      case Keyword::kBegin:
        body_ = body_ || (first && Ahead().Is(Keyword::kNot));
        modifies_ = false;
        break;
      case Keyword::kIf:
      case Keyword::kCase:
      case Keyword::kFor:
      case Keyword::kWhile:
        body_ = body_ || (first && dialect_.flavor == Flavor::kMariadb);
        break;
      case Keyword::kLoop:
      case Keyword::kRepeat:
        body_ = body_ || (first && dialect_.flavor == Flavor::kMariadb);
        modifies_ = false;
        break;
      case Keyword::kThen:
      case Keyword::kElse:
      case Keyword::kDo:
      case Keyword::kRow:
        modifies_ = false;
        break;
      case Keyword::kInsert:
      case Keyword::kUpdate:
      case Keyword::kReplace:
        // Their SET names columns.
        modifies_ = true;
        break;
      case Keyword::kSet:
        if (first || (body_ && !modifies_)) JudgeSet(token);
        break;
      case Keyword::kPrepare:
        if (first || body_) JudgePrepare();
        break;
      case Keyword::kExecute:
        if ((first || body_) && Ahead().Is(Keyword::kImmediate)) {
          lexer_.Next();
          JudgeText();
        }
        break;
      default:
        break;
    }
  }

  void JudgeSet(const Token& set) {
    const std::string_view rest = text_.substr(set.begin);
    const SetStatement parsed = ParseSet(rest, dialect_);
    for (const Assignment& one : parsed.assignments) {
      if (one.scope == Scope::kUserVariable) continue;
      if (!IsReplicationVariable(one.name) && !IsPassword(one)) continue;
      out_.variable = one.name;
      return;
    }
    if (parsed.statement_at != 0) {
      Walk(rest.substr(parsed.statement_at), dialect_, depth_, out_).Run();
      return;
    }
    if (parsed.understood || body_) return;
    // Of no form that we know: any mention counts.
    Lexer lexer(rest, dialect_);
    for (Token token = lexer.Next(); token.kind != TokenKind::kEnd && !token.Is(';');
         token = lexer.Next()) {
      if (!token.IsName() && token.kind != TokenKind::kSystemVariable) continue;
      std::string name = Lower(Unquote(rest.substr(token.begin, token.size()), dialect_));
      if (size_t dot = name.rfind('.'); dot != std::string::npos) name.erase(0, dot + 1);
      if (!IsReplicationVariable(name)) continue;
      out_.variable = name;
      return;
    }
  }

  // PREPARE name FROM text
  void JudgePrepare() {
    Lexer copy = lexer_;
    const Token name = copy.Next();
    if (!name.IsName() || !copy.Next().Is(Keyword::kFrom)) return;
    lexer_ = copy;
    JudgeText();
  }

  void JudgeText() {
    const Token from = Ahead();
    if (from.kind == TokenKind::kEnd) return;
    Lexer copy = lexer_;
    copy.Next();
    const Token after = copy.Next();
    const bool alone = after.kind == TokenKind::kEnd || after.Is(';') || after.Is(Keyword::kUsing);
    if (from.kind == TokenKind::kString && (alone || body_)) {
      const std::string inner = Unquote(text_.substr(from.begin, from.size()), dialect_);
      if (!body_) out_.literals.push_back(inner);
      if (depth_ < kMaxDepth) {
        Walk(inner, dialect_, depth_ + 1, out_).Run();
      } else {
        out_.variable = "PREPARE within PREPARE";
      }
      return;
    }
    if (body_) return;
    uint32_t end = from.end;
    Lexer rest = lexer_;
    for (Token token = rest.Next();
         token.kind != TokenKind::kEnd && !token.Is(';') && !token.Is(Keyword::kUsing);
         token = rest.Next()) {
      end = token.end;
    }
    out_.computed.emplace_back(text_.substr(from.begin, end - from.begin));
    out_.computed_later = out_.computed_later || statement_ > 0 || depth_ > 0;
  }

  std::string_view text_;
  const Dialect& dialect_;
  const int depth_;
  ReplicationSets& out_;
  Lexer lexer_;
  size_t statement_ = 0;
  bool creates_ = false;   // this statement begins with CREATE or ALTER
  bool body_ = false;      // of a stored program or a compound statement, to the end of the text
  bool modifies_ = false;  // within INSERT, UPDATE or REPLACE
};

// Whether nothing of interest can be in it: one statement that begins with a word of those that are
// frequent.
bool IsPlain(std::string_view text) {
  size_t at = 0;
  while (at < text.size() && (text[at] == ' ' || text[at] == '\n' || text[at] == '(')) ++at;
  text.remove_prefix(at);
  auto begins = [text](std::string_view word) {
    return text.size() > word.size() && EqualsIgnoreCase(text.substr(0, word.size()), word);
  };
  if (!begins("select") && !begins("insert") && !begins("update") && !begins("delete") &&
      !begins("commit") && !begins("replace") && !begins("show"))
    return false;
  return text.find(';') == std::string_view::npos;
}

}  // namespace

bool IsPassword(const Assignment& assignment) {
  // MariaDB takes it among variables, too; none has this name.
  return assignment.name == kPassword && assignment.scope != Scope::kUserVariable;
}

bool IsReplicationVariable(std::string_view name) {
  static constexpr std::string_view kNames[] = {"binlog_annotate_row_events",
                                                "binlog_direct_non_transactional_updates",
                                                "binlog_format",
                                                "binlog_row_image",
                                                "binlog_row_value_options",
                                                "binlog_rows_query_log_events",
                                                "gtid_domain_id",
                                                "gtid_next",
                                                "gtid_next_list",
                                                "gtid_seq_no",
                                                "immediate_server_version",
                                                "original_commit_timestamp",
                                                "original_server_version",
                                                "pseudo_replica_mode",
                                                "pseudo_slave_mode",
                                                "pseudo_thread_id",
                                                "rbr_exec_mode",
                                                "server_id",
                                                "skip_replication",
                                                "sql_log_bin",
                                                "sql_log_off",
                                                "transaction_write_set_extraction",
                                                "wsrep_on"};
  return std::binary_search(std::begin(kNames), std::end(kNames), name);
}

Error NoRightToSet(bool mariadb, std::string_view variable) {
  if (IsOfAccount({.variable = std::string(variable)})) {
    return Error::FromMysql(1227, "42000",
                            "Access denied; you need (at least one of) the CREATE USER "
                            "privilege(s) for this operation");
  }
  if (mariadb) {
    const bool replays = variable.starts_with("pseudo_") || variable.starts_with("gtid_") ||
                         variable == "server_id" || variable == "skip_replication";
    return Error::FromMysql(1227, "42000",
                            fmt::format("Access denied; you need (at least one of) the SUPER, "
                                        "BINLOG {} privilege(s) for this operation",
                                        replays ? "REPLAY" : "ADMIN"));
  }
  return Error::FromMysql(1227, "42000",
                          "Access denied; you need (at least one of) the SUPER, "
                          "SYSTEM_VARIABLES_ADMIN or SESSION_VARIABLES_ADMIN privilege(s) for this "
                          "operation");
}

bool IsOfAccount(const ReplicationSets& sets) {
  return sets.variable == kAccount || sets.variable == kPassword;
}

ReplicationSets FindReplicationSets(std::string_view text, const Dialect& dialect) {
  ReplicationSets out;
  if (!IsPlain(text)) Walk(text, dialect, 0, out).Run();
  return out;
}

ReplicationSets FindReplicationSetsAnyMode(std::string_view text, Dialect dialect) {
  ReplicationSets out;
  if (IsPlain(text)) return out;
  const bool escapes = text.find('\\') != std::string_view::npos;
  const bool quotes = text.find('"') != std::string_view::npos;
  for (int mode = 0; mode < 4 && out.variable.empty(); ++mode) {
    dialect.no_backslash_escapes = (mode & 1) != 0;
    dialect.ansi_quotes = (mode & 2) != 0;
    if ((dialect.no_backslash_escapes && !escapes) || (dialect.ansi_quotes && !quotes)) continue;
    ReplicationSets one = FindReplicationSets(text, dialect);
    out.variable = std::move(one.variable);
    std::ranges::move(one.literals, std::back_inserter(out.literals));
    std::ranges::move(one.computed, std::back_inserter(out.computed));
    out.computed_later = out.computed_later || one.computed_later;
  }
  return out;
}

}  // namespace paceline::sql
