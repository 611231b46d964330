#include "vttablet/manager/schema_reader.h"

#include <re2/re2.h>

#include <map>

#include "base/strings.h"
#include "tabletmanagerdata.pb.h"

namespace paceline::vttablet {
namespace {

bool Matches(const std::vector<std::string>& patterns, const std::string& name) {
  for (const std::string& pattern : patterns) {
    bool expression = pattern.size() > 1 && pattern.front() == '/' && pattern.back() == '/';
    if (expression ? RE2::PartialMatch(name, RE2(pattern.substr(1, pattern.size() - 2)))
                   : name == pattern)
      return true;
  }
  return false;
}

Status CheckPatterns(const std::vector<std::string>& patterns) {
  for (const std::string& pattern : patterns) {
    if (pattern.size() < 2 || pattern.front() != '/' || pattern.back() != '/') continue;
    RE2::Options quiet;
    quiet.set_log_errors(false);
    RE2 compiled(pattern.substr(1, pattern.size() - 2), quiet);
    if (!compiled.ok())
      return Fail(Code::kInvalidArgument, "bad pattern {}: {}", pattern, compiled.error());
  }
  return {};
}

// The statement that makes a table again names no counter, so that equal tables have equal texts.
std::string WithoutAutoIncrement(std::string text) {
  RE2::Replace(&text, " AUTO_INCREMENT=\\d+", "");
  return text;
}

}  // namespace

io::Task<Status> ReadSchema(mysqld::Admin& admin, SchemaWanted wanted,
                            ::tabletmanagerdata::SchemaDefinition* out, Deadline deadline) {
  Status patterns = CheckPatterns(wanted.tables);
  if (patterns) patterns = CheckPatterns(wanted.excluded);
  if (!patterns) co_return patterns;
  std::string database = QuoteText(wanted.database);
  std::string list_sql =
      "SELECT table_name, table_type, COALESCE(data_length, 0), COALESCE(table_rows, 0) FROM "
      "information_schema.tables WHERE table_schema = " +
      database + " ORDER BY table_type, table_name";
  Result<mysql::QueryResult> tables = co_await admin.Query(std::move(list_sql), deadline);
  if (!tables) co_return Fail(tables.error());
  std::string column_sql =
      "SELECT table_name, column_name, column_key FROM information_schema.columns WHERE "
      "table_schema = " +
      database + " ORDER BY table_name, ordinal_position";
  Result<mysql::QueryResult> columns = co_await admin.Query(std::move(column_sql), deadline);
  if (!columns) co_return Fail(columns.error());
  std::multimap<std::string, size_t> by_table;
  for (size_t i = 0; i < columns->rows.size(); ++i)
    by_table.emplace(columns->Text(i, size_t{0}), i);
  std::string create_sql = "SHOW CREATE DATABASE IF NOT EXISTS " + QuoteIdentifier(wanted.database);
  Result<mysql::QueryResult> create = co_await admin.Query(std::move(create_sql), deadline);
  if (!create) co_return Fail(create.error());
  out->set_database_schema(ReplaceAll(create->Text(0, size_t{1}), QuoteIdentifier(wanted.database),
                                      "{{.DatabaseName}}"));
  for (size_t i = 0; i < tables->rows.size(); ++i) {
    std::string name = tables->Text(i, size_t{0});
    bool view = tables->Text(i, size_t{1}) == "VIEW";
    bool chosen =
        (wanted.tables.empty() || Matches(wanted.tables, name)) && !Matches(wanted.excluded, name);
    if (!chosen || (view && !wanted.views)) continue;
    std::string show =
        "SHOW CREATE TABLE " + QuoteIdentifier(wanted.database) + "." + QuoteIdentifier(name);
    Result<mysql::QueryResult> text = co_await admin.Query(std::move(show), deadline);
    if (!text) co_return Fail(text.error());
    ::tabletmanagerdata::TableDefinition* table = out->add_table_definitions();
    table->set_name(name);
    table->set_type(view ? "VIEW" : "BASE TABLE");
    std::string schema = WithoutAutoIncrement(text->Text(0, size_t{1}));
    if (view) schema = ReplaceAll(schema, QuoteIdentifier(wanted.database), "{{.DatabaseName}}");
    table->set_schema(schema);
    table->set_data_length(ParseUint(tables->Text(i, size_t{2})).value_or(0));
    table->set_row_count(ParseUint(tables->Text(i, size_t{3})).value_or(0));
    auto [first, last] = by_table.equal_range(name);
    for (auto it = first; it != last; ++it) {
      table->add_columns(columns->Text(it->second, size_t{1}));
      if (columns->Text(it->second, size_t{2}) == "PRI")
        table->add_primary_key_columns(columns->Text(it->second, size_t{1}));
    }
  }
  co_return Status();
}

}  // namespace paceline::vttablet
