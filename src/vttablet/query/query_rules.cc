#include "vttablet/query/query_rules.h"

#include <re2/re2.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/strings.h"
#include "sql/outline.h"

namespace paceline::vttablet {
namespace {

using Json = nlohmann::json;

re2::StringPiece Piece(std::string_view text) { return {text.data(), text.size()}; }

// Vitess's names of plans, for those kinds that have one.
std::string_view PlanName(const sql::Outline& outline) {
  switch (outline.kind) {
    case sql::Kind::kSelect:
    case sql::Kind::kValues:
    case sql::Kind::kTable:
      return "Select";
    case sql::Kind::kInsert:
    case sql::Kind::kReplace:
      return "Insert";
    case sql::Kind::kUpdate:
      return "Update";
    case sql::Kind::kDelete:
      return "Delete";
    case sql::Kind::kDdl:
      return "DDL";
    case sql::Kind::kSet:
      return "Set";
    case sql::Kind::kShow:
      return "Show";
    case sql::Kind::kLoad:
      return "Load";
    case sql::Kind::kCall:
      return "CallProcedure";
    case sql::Kind::kFlush:
      return "Flush";
    case sql::Kind::kLockTables:
      return "LockTables";
    case sql::Kind::kUnlockTables:
      return "UnlockTables";
    case sql::Kind::kSavepoint:
      return "Savepoint";
    case sql::Kind::kReleaseSavepoint:
      return "Release";
    case sql::Kind::kRollbackTo:
      return "RollbackSavepoint";
    case sql::Kind::kDescribe:
    case sql::Kind::kExplain:
    case sql::Kind::kHelp:
    case sql::Kind::kDo:
      return "OtherRead";
    default:
      return "OtherAdmin";
  }
}

std::string Name(std::string_view text, sql::Span span) {
  std::string_view name = span.In(text);
  if (name.size() >= 2 && (name.front() == '`' || name.front() == '"')) {
    name = name.substr(1, name.size() - 2);
  }
  return std::string(name);
}

}  // namespace

struct QueryRules::Rule {
  enum class Action : uint8_t { kFail, kFailRetry, kContinue };

  Status Set(const std::string& key, const Json& value);
  bool Holds(std::string_view statement, std::string_view leading, std::string_view trailing,
             const sql::Outline& outline, const port::Caller& caller) const;

  std::string name, description;
  Action action = Action::kFail;
  std::unique_ptr<RE2> user, query, leading_comment, trailing_comment;
  std::vector<std::string> plans, tables;
};

Status QueryRules::Rule::Set(const std::string& key, const Json& value) {
  auto wrong = [&](std::string_view why) {
    return Fail(Code::kInvalidArgument, "query rule \"{}\": {}: {}", name, key, why);
  };
  if (key == "Plans" || key == "TableNames") {
    auto& list = key == "Plans" ? plans : tables;
    if (!value.is_array()) return wrong("must be a list");
    for (const Json& one : value) {
      if (!one.is_string()) return wrong("must hold texts only");
      list.push_back(one.get<std::string>());
    }
    return {};
  }
  if (!value.is_string()) return wrong("must be a text");
  std::string text = value.get<std::string>();
  if (key == "Name") return {};
  if (key == "Description") {
    description = std::move(text);
    return {};
  }
  if (key == "Action") {
    if (text == "FAIL")
      action = Action::kFail;
    else if (text == "FAIL_RETRY")
      action = Action::kFailRetry;
    else if (text == "CONTINUE")
      action = Action::kContinue;
    else
      return wrong("must be FAIL, FAIL_RETRY or CONTINUE");
    return {};
  }
  std::unique_ptr<RE2>* pattern = key == "User"              ? &user
                                  : key == "Query"           ? &query
                                  : key == "LeadingComment"  ? &leading_comment
                                  : key == "TrailingComment" ? &trailing_comment
                                                             : nullptr;
  if (pattern == nullptr) return wrong("is not a condition that can be checked here");
  RE2::Options options;
  options.set_log_errors(false);
  options.set_dot_nl(true);
  *pattern = std::make_unique<RE2>(text, options);
  if (!(*pattern)->ok()) return wrong((*pattern)->error());
  return {};
}

bool QueryRules::Rule::Holds(std::string_view statement, std::string_view leading,
                             std::string_view trailing, const sql::Outline& outline,
                             const port::Caller& caller) const {
  auto fits = [](const std::unique_ptr<RE2>& pattern, std::string_view text) {
    return pattern == nullptr || RE2::FullMatch(Piece(text), *pattern);
  };
  if (!plans.empty() && std::ranges::find(plans, PlanName(outline)) == plans.end()) return false;
  if (!fits(user, caller.user) || !fits(query, Trim(statement))) return false;
  if (!fits(leading_comment, Trim(leading)) || !fits(trailing_comment, Trim(trailing)))
    return false;
  return true;
}

Result<std::unique_ptr<QueryRules>> QueryRules::Parse(std::string_view text) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_array()) {
    return Fail(Code::kInvalidArgument, "query rules: not a JSON list");
  }
  std::unique_ptr<QueryRules> rules(new QueryRules());
  for (const Json& one : json) {
    if (!one.is_object()) {
      return Fail(Code::kInvalidArgument, "query rules: a rule must be an object");
    }
    auto rule = std::make_unique<Rule>();
    if (auto name = one.find("Name"); name != one.end() && name->is_string()) {
      rule->name = name->get<std::string>();
    }
    for (const auto& [key, value] : one.items()) RETURN_IF_ERROR(rule->Set(key, value));
    rules->rules_.push_back(std::move(rule));
  }
  return rules;
}

QueryRules::QueryRules() = default;
QueryRules::~QueryRules() = default;

Status QueryRules::Admit(const port::QueryRequest& request, const sql::Dialect& dialect) const {
  if (rules_.empty()) return {};
  thread_local sql::Outline outline;
  const std::vector<sql::Span> spans = sql::SplitStatements(request.text, dialect);
  size_t begin = 0;
  for (size_t i = 0; i < spans.size(); ++i) {
    // From the statement before to the next one, so that comments around this one are seen.
    const size_t end = i + 1 < spans.size() ? spans[i + 1].offset : request.text.size();
    std::string_view text = request.text.substr(begin, end - begin);
    begin = spans[i].end();
    while (begin < end && (request.text[begin] == ';' || request.text[begin] == ' ')) ++begin;
    sql::Analyze(text, dialect, outline);
    std::string_view statement = outline.statement.In(text);
    std::string_view leading = text.substr(0, outline.statement.offset);
    std::string_view trailing = text.substr(outline.statement.end());
    for (const auto& rule : rules_) {
      if (!rule->Holds(statement, leading, trailing, outline, request.caller)) continue;
      bool touches = rule->tables.empty();
      for (const sql::TableUse& use : outline.tables) {
        touches =
            touches || std::ranges::find(rule->tables, Name(text, use.name)) != rule->tables.end();
      }
      if (!touches) continue;
      if (rule->action == Rule::Action::kContinue) break;
      return Fail(
          rule->action == Rule::Action::kFail ? Code::kInvalidArgument : Code::kClusterEvent,
          "disallowed due to rule: {}", rule->description.empty() ? rule->name : rule->description);
    }
  }
  return {};
}

}  // namespace paceline::vttablet
