#include "vttablet/manager/import_schema.h"

#include <algorithm>
#include <map>

#include "base/strings.h"

namespace paceline::vttablet {
namespace {

using Kind = ImportObject::Kind;
constexpr mysql::QueryLimits kLarge{.rows_max = 10'000'000, .bytes_max = size_t{1} << 30};

io::Task<Result<mysql::QueryResult>> Ask(mysql::Connection& source, std::string sql,
                                         Deadline deadline) {
  Result<mysql::QueryResult> rows = co_await source.Query(std::move(sql), deadline, kLarge);
  if (!rows) co_return Fail(rows.error().Context("reading the schema of the source"));
  co_return std::move(*rows);
}

// Where SHOW CREATE of a kind has what.
struct Shown {
  size_t create = 1;
  int sql_mode = -1, time_zone = -1, collation = -1;
};
Shown ShownOf(Kind kind) {
  switch (kind) {
    case Kind::kRoutine:
    case Kind::kTrigger:
      return {.create = 2, .sql_mode = 1, .collation = 4};
    case Kind::kEvent:
      return {.create = 3, .sql_mode = 1, .time_zone = 2, .collation = 5};
    case Kind::kView:
      return {.create = 1, .collation = 3};
    default:
      return {};
  }
}

io::Task<Status> Show(mysql::Connection& source, std::string what, ImportObject* object,
                      Deadline deadline) {
  std::string name = QuoteIdentifier(object->name);
  if (object->kind != Kind::kDatabase) name = QuoteIdentifier(object->database) + "." + name;
  std::string sql = "SHOW CREATE " + what + " " + name;
  Result<mysql::QueryResult> rows = co_await Ask(source, std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error());
  Shown shown = ShownOf(object->kind);
  object->create = rows->Text(0, shown.create);
  auto text = [&rows](int column) {
    return column < 0 ? std::string() : rows->Text(0, static_cast<size_t>(column));
  };
  object->sql_mode = text(shown.sql_mode);
  object->time_zone = text(shown.time_zone);
  object->collation = text(shown.collation);
  if (object->create.empty()) {
    co_return Fail(Code::kPermissionDenied,
                   "the source does not show the definition of {} {}: the account needs SELECT "
                   "on *.*",
                   Lower(what), name);
  }
  co_return Status();
}

io::Task<Result<std::map<std::string, std::vector<ImportColumn>>>> ReadColumns(
    mysql::Connection& source, Deadline deadline) {
  std::string sql =
      "SELECT table_schema, table_name, column_name, data_type, COALESCE(generation_expression, "
      "'') FROM information_schema.columns WHERE table_schema NOT IN ";
  sql += kSystemSchemas;
  sql += " ORDER BY table_schema, table_name, ordinal_position";
  Result<mysql::QueryResult> rows = co_await Ask(source, std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error());
  std::map<std::string, std::vector<ImportColumn>> columns;
  for (size_t i = 0; i < rows->rows.size(); ++i) {
    ImportColumn column;
    column.name = rows->Text(i, size_t{2});
    column.literal = LiteralOf(rows->Text(i, size_t{3}));
    column.single_precision = EqualsIgnoreCase(rows->Text(i, size_t{3}), "float");
    column.generated = !rows->Text(i, size_t{4}).empty();
    columns[rows->Text(i, size_t{0}) + "\n" + rows->Text(i, size_t{1})].push_back(
        std::move(column));
  }
  co_return columns;
}

// Rows of (database, name, more) of one kind of object.
struct Listing {
  Kind kind;
  std::string what;  // behind SHOW CREATE; empty: the third column
  std::string sql;
};
std::vector<Listing> Listings() {
  const std::string system(kSystemSchemas);
  return {
      {Kind::kDatabase, "DATABASE",
       "SELECT schema_name, schema_name, '' FROM information_schema.schemata WHERE schema_name NOT "
       "IN " +
           system + " ORDER BY 1"},
      {Kind::kTable, "TABLE",
       "SELECT table_schema, table_name, COALESCE(data_length, 0) FROM information_schema.tables "
       "WHERE table_type = 'BASE TABLE' AND table_schema NOT IN " +
           system + " ORDER BY 1, 2"},
      {Kind::kSequence, "SEQUENCE",
       "SELECT table_schema, table_name, '' FROM information_schema.tables WHERE table_type = "
       "'SEQUENCE' AND table_schema NOT IN " +
           system + " ORDER BY 1, 2"},
      {Kind::kRoutine, "",
       "SELECT routine_schema, routine_name, routine_type FROM information_schema.routines WHERE "
       "routine_schema NOT IN " +
           system + " ORDER BY 1, 3, 2"},
      {Kind::kView, "VIEW",
       "SELECT table_schema, table_name, '' FROM information_schema.views WHERE table_schema NOT "
       "IN " +
           system + " ORDER BY 1, 2"},
      {Kind::kTrigger, "TRIGGER",
       "SELECT trigger_schema, trigger_name, '' FROM information_schema.triggers WHERE "
       "trigger_schema NOT IN " +
           system +
           " ORDER BY 1, event_object_table, action_timing, event_manipulation, action_order"},
      {Kind::kEvent, "EVENT",
       "SELECT event_schema, event_name, status FROM information_schema.events WHERE event_schema "
       "NOT IN " +
           system + " ORDER BY 1, 2"},
  };
}

std::string Comparable(const ImportObject& object) {
  return fmt::format("{}\n{}\n{}\n{}\n{}\n{}\n{}", static_cast<int>(object.kind), object.database,
                     object.name, WithoutCounter(object.create), object.sql_mode, object.time_zone,
                     object.status);
}

io::Task<Status> MakeOne(mysql::Connection& target, const ImportObject& object, Deadline deadline) {
  std::vector<std::string> statements = ImportSessionStatements();
  if (object.kind != Kind::kDatabase)
    statements.push_back("USE " + QuoteIdentifier(object.database));
  // The mode is a part of what routines, triggers and events are.
  bool has_mode =
      object.kind == Kind::kRoutine || object.kind == Kind::kTrigger || object.kind == Kind::kEvent;
  if (has_mode) statements.push_back("SET SESSION sql_mode = " + QuoteText(object.sql_mode));
  if (!object.time_zone.empty())
    statements.push_back("SET SESSION time_zone = " + QuoteText(object.time_zone));
  if (object.collation.starts_with("utf8mb4_"))
    statements.push_back("SET SESSION collation_connection = " + QuoteText(object.collation));
  statements.push_back(object.create);
  if (object.kind == Kind::kEvent && object.status == "ENABLED") {
    // Runs where the shard is written alone: a promotion enables it. Without its definer it would
    // become ours.
    constexpr std::string_view kCreate = "CREATE ";
    const size_t what = object.create.find(" EVENT ");
    std::string definer;
    if (object.create.starts_with(kCreate) && what != std::string::npos)
      definer = object.create.substr(kCreate.size(), what - kCreate.size());
    statements.push_back(fmt::format("ALTER {} EVENT {}.{} DISABLE ON SLAVE", definer,
                                     QuoteIdentifier(object.database),
                                     QuoteIdentifier(object.name)));
  }
  for (std::string& sql : statements) {
    Result<mysql::QueryResult> ran = co_await target.Query(std::move(sql), deadline);
    if (!ran) co_return Fail(ran.error().Context("making " + object.database + "." + object.name));
  }
  co_return Status();
}

}  // namespace

std::vector<std::string> ImportSessionStatements() {
  return {"SET NAMES utf8mb4",
          "SET SESSION time_zone = '+00:00', sql_mode = 'NO_AUTO_VALUE_ON_ZERO', "
          "foreign_key_checks = 0, unique_checks = 0, sql_quote_show_create = 1"};
}

std::string ImportSchema::DiffersFrom(const ImportSchema& other) const {
  for (size_t i = 0; i < std::max(objects.size(), other.objects.size()); ++i) {
    const ImportObject* a = i < objects.size() ? &objects[i] : nullptr;
    const ImportObject* b = i < other.objects.size() ? &other.objects[i] : nullptr;
    if (a != nullptr && b != nullptr && Comparable(*a) == Comparable(*b)) continue;
    const ImportObject* shown = a != nullptr ? a : b;
    return shown->database + "." + shown->name;
  }
  return "";
}

io::Task<Result<ImportSchema>> ReadImportSchema(mysql::Connection& source, Deadline deadline) {
  ImportSchema schema;
  auto columns = co_await ReadColumns(source, deadline);
  if (!columns) co_return Fail(columns.error());
  for (Listing& listing : Listings()) {
    std::string sql = listing.sql;
    Result<mysql::QueryResult> rows = co_await Ask(source, std::move(sql), deadline);
    if (!rows) co_return Fail(rows.error());
    for (size_t i = 0; i < rows->rows.size(); ++i) {
      ImportObject object;
      object.kind = listing.kind;
      object.database = rows->Text(i, size_t{0});
      object.name = rows->Text(i, size_t{1});
      std::string more = rows->Text(i, size_t{2});
      std::string what = listing.what.empty() ? more : listing.what;
      Status shown = co_await Show(source, std::move(what), &object, deadline);
      if (!shown) co_return Fail(shown.error());
      if (object.kind == Kind::kEvent) object.status = more;
      if (object.kind == Kind::kTable) {
        object.bytes = ParseUint(more).value_or(0);
        object.table = {object.database, object.name,
                        std::move((*columns)[object.database + "\n" + object.name])};
      }
      schema.objects.push_back(std::move(object));
    }
  }
  co_return schema;
}

io::Task<Status> MakeObjects(mysql::Connection& target, const ImportSchema& schema,
                             ImportObject::Kind kind, Deadline deadline) {
  std::vector<const ImportObject*> left;
  for (const ImportObject& object : schema.objects) {
    if (object.kind == kind) left.push_back(&object);
  }
  while (!left.empty()) {
    std::vector<const ImportObject*> failed;
    Status last;
    for (const ImportObject* object : left) {
      Status made = co_await MakeOne(target, *object, deadline);
      if (made) continue;
      bool may_come = kind == Kind::kView && made.error().from_mysql();
      if (!may_come) co_return made;
      last = made;
      failed.push_back(object);
    }
    if (failed.size() == left.size()) co_return last;
    left = std::move(failed);
  }
  co_return Status();
}

}  // namespace paceline::vttablet
