#include "vttablet/manager/import_text.h"

#include <algorithm>

#include "base/strings.h"

namespace paceline::vttablet {
namespace {

bool OneOf(std::string_view text, std::initializer_list<std::string_view> list) {
  return std::ranges::find(list, text) != list.end();
}

std::string ColumnList(const ImportTable& table) {
  std::vector<std::string> names;
  for (const ImportColumn& column : table.columns) {
    if (!column.generated) names.push_back(QuoteIdentifier(column.name));
  }
  return Join(names, ", ");
}

std::string Some(const std::vector<std::string>& names) {
  constexpr size_t kShown = 5;
  std::vector<std::string> shown(names.begin(), names.begin() + std::min(names.size(), kShown));
  std::string text = Join(shown, ", ");
  if (names.size() > kShown) text += fmt::format(" and {} more", names.size() - kShown);
  return text;
}

}  // namespace

Literal LiteralOf(std::string_view data_type) {
  const std::string type = Lower(data_type);
  if (OneOf(type, {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "float",
                   "double", "year"}))
    return Literal::kNumber;
  if (OneOf(type, {"bit", "binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob",
                   "vector", "geometry", "point", "linestring", "polygon", "multipoint",
                   "multilinestring", "multipolygon", "geometrycollection", "geomcollection"}))
    return Literal::kBytes;
  return Literal::kText;
}

std::string ImportTable::Quoted() const {
  return QuoteIdentifier(database) + "." + QuoteIdentifier(name);
}

std::string SelectRows(const ImportTable& table) {
  std::vector<std::string> columns;
  for (const ImportColumn& column : table.columns) {
    if (column.generated) continue;
    std::string name = QuoteIdentifier(column.name);
    columns.push_back(column.single_precision ? name + " + 0e0" : name);
  }
  return fmt::format("SELECT {} FROM {}", Join(columns, ", "), table.Quoted());
}

std::string InsertHead(const ImportTable& table) {
  return fmt::format("INSERT INTO {} ({}) VALUES ", table.Quoted(), ColumnList(table));
}

void AppendRow(const ImportTable& table, const std::vector<std::optional<std::string_view>>& values,
               std::string* sql) {
  size_t at = 0;
  *sql += '(';
  for (const ImportColumn& column : table.columns) {
    if (column.generated) continue;
    if (at > 0) *sql += ',';
    const std::optional<std::string_view> value = at < values.size() ? values[at] : std::nullopt;
    ++at;
    if (!value) {
      *sql += "NULL";
    } else if (column.literal == Literal::kNumber) {
      *sql += *value;
    } else {
      if (column.literal == Literal::kBytes) *sql += "_binary";
      *sql += QuoteText(*value);
    }
  }
  *sql += ')';
}

std::string WithoutCounter(std::string_view create_table) {
  constexpr std::string_view kOption = " AUTO_INCREMENT=";
  // Table options follow the last column; a default or comment may hold the same text before.
  size_t options = create_table.rfind("\n)");
  size_t at = options == std::string_view::npos ? options : create_table.find(kOption, options);
  if (at == std::string_view::npos) return std::string(create_table);
  size_t end = at + kOption.size();
  while (end < create_table.size() && create_table[end] >= '0' && create_table[end] <= '9') ++end;
  return std::string(create_table.substr(0, at)) + std::string(create_table.substr(end));
}

std::string QuoteAccount(std::string_view user, std::string_view host) {
  return QuoteText(user) + "@" + QuoteText(host);
}

std::vector<std::string> MissingRights(const std::vector<std::string>& grants, bool mariadb) {
  std::set<std::string> has;
  for (const std::string& line : grants) {
    const std::string upper = Upper(line);
    size_t on = upper.find(" ON *.* TO ");
    if (!upper.starts_with("GRANT ") || on == std::string::npos) continue;
    for (std::string_view right : Split(std::string_view(upper).substr(6, on - 6), ','))
      has.insert(std::string(Trim(right)));
  }
  const bool all = has.contains("ALL PRIVILEGES");
  // A right, and those that include it.
  using Ways = std::vector<std::string>;
  std::vector<Ways> wanted = {{"SELECT"},    {"RELOAD"},  {"PROCESS"},
                              {"SHOW VIEW"}, {"TRIGGER"}, {"EVENT"}};
  if (mariadb) {
    for (const char* right : {"BINLOG MONITOR", "SLAVE MONITOR", "READ_ONLY ADMIN",
                              "CONNECTION ADMIN", "REPLICATION SLAVE ADMIN", "SUPER"})
      wanted.push_back({right});
    wanted.push_back({"REPLICATION SLAVE", "REPLICATION REPLICA"});
    for (Ways& ways : wanted) {
      std::string spelled = ReplaceAll(ways[0], "READ_ONLY", "READ ONLY");
      spelled = ReplaceAll(spelled, "SLAVE", "REPLICA");
      ways.push_back(spelled);
    }
  } else {
    wanted.push_back({"REPLICATION SLAVE"});
    wanted.push_back({"REPLICATION CLIENT"});
    for (const char* right :
         {"SYSTEM_VARIABLES_ADMIN", "CONNECTION_ADMIN", "REPLICATION_SLAVE_ADMIN"})
      wanted.push_back({right, "SUPER"});
  }
  std::vector<std::string> missing;
  for (const Ways& ways : wanted) {
    bool given = std::ranges::any_of(ways, [&](const auto& right) { return has.contains(right); });
    if (!given && !all) missing.push_back(ways[0]);
  }
  return missing;
}

std::vector<std::string> WhyNotImport(const SourceFacts& source, const ImportWish& wish) {
  std::vector<std::string> why;
  auto add = [&why](std::string text) { why.push_back(std::move(text)); };
  const bool mariadb = source.version.mariadb();
  if (mariadb != wish.version.mariadb()) {
    add(
        fmt::format("it is {} and the tablet runs {}: replication between the two cannot be "
                    "switched; start the shard's tablets with the source's flavor",
                    source.version.ToString(), wish.version.ToString()));
  } else if (std::tie(source.version.major, source.version.minor) >
             std::tie(wish.version.major, wish.version.minor)) {
    add(
        fmt::format("it is {} and the tablet runs the older {}: give the tablets a server at "
                    "least as new",
                    source.version.ToString(), wish.version.ToString()));
  }
  if (source.databases.contains(wish.sidecar)) {
    add(
        fmt::format("it has a database {}: it is a tablet of Paceline or Vitess already (or what "
                    "is left of one: DROP DATABASE {} then)",
                    wish.sidecar, QuoteIdentifier(wish.sidecar)));
  }
  if (!source.log_bin)
    add("its binary log is off: start it with log_bin, so that what is written during the copy is "
        "not lost");
  if (EqualsIgnoreCase(source.binlog_format, "STATEMENT"))
    add("its binlog_format is STATEMENT, which repeats some statements with other results: SET "
        "GLOBAL binlog_format = ROW, and let its clients connect anew");
  if (!mariadb && source.log_bin && !EqualsIgnoreCase(source.gtid_mode, "ON"))
    add(
        fmt::format("its gtid_mode is {}: set enforce_gtid_consistency = ON, then gtid_mode = "
                    "OFF_PERMISSIVE, ON_PERMISSIVE and ON, one after the other; MySQL does that "
                    "while it runs",
                    source.gtid_mode));
  if (!source.log_filter.empty())
    add("its binary log leaves databases out (" + source.log_filter +
        "): start it without binlog_do_db and binlog_ignore_db");
  if (!source.replicates_from.empty())
    add("it is itself a replica of " + source.replicates_from + ": import that one");
  else if (source.read_only)
    add("it is read-only, so its clients cannot be writing there: name the server that takes "
        "writes, or SET GLOBAL read_only = OFF");
  if (source.server_id == 0 || source.server_id == wish.server_id)
    add(fmt::format("its server_id is {}, {}: give it another one (SET GLOBAL server_id)",
                    source.server_id,
                    source.server_id == 0 ? "which does not replicate" : "as the tablet's"));
  if (source.lower_case_table_names != wish.lower_case_table_names)
    add(
        fmt::format("its lower_case_table_names is {}, the tablet's {}: the tablets' servers must "
                    "be made with the same",
                    source.lower_case_table_names, wish.lower_case_table_names));
  if (!source.missing_rights.empty())
    add(fmt::format("the account lacks {}: GRANT them ON *.* to it, as docs/import.md shows",
                    Join(source.missing_rights, ", ")));
  if (!source.tables_not_innodb.empty())
    add("tables that no snapshot covers: " + Some(source.tables_not_innodb) +
        ": ALTER TABLE ... ENGINE = InnoDB");
  if (!source.versioned_tables.empty())
    add("the history of system-versioned tables cannot be copied: " +
        Some(source.versioned_tables) + ": ALTER TABLE ... DROP SYSTEM VERSIONING");
  const std::string& database = wish.asked_database.empty() ? wish.database : wish.asked_database;
  std::vector<std::string> there(source.databases.begin(), source.databases.end());
  if (!source.databases.contains(database)) {
    add(fmt::format("it has no database {}, but {}: name the one to serve with --source-db",
                    database, there.empty() ? "none at all" : Some(there)));
  } else if (database != wish.database) {
    add(
        fmt::format("the shard's tablets serve the database {}, not {}: start them with "
                    "--init-db-name-override={} (an import keeps the name)",
                    wish.database, database, database));
  }
  return why;
}

std::vector<std::string> ImportWarnings(const SourceFacts& source) {
  std::vector<std::string> warnings;
  if (!source.log_updates)
    warnings.push_back(
        "the source does not write what it replicates to its own binary log (log_slave_updates): "
        "its other replicas will not follow after the switch");
  if (!source.binlog_row_image.empty() && !EqualsIgnoreCase(source.binlog_row_image, "FULL"))
    warnings.push_back("binlog_row_image is " + source.binlog_row_image +
                       ": FULL is what a tablet writes");
  return warnings;
}

}  // namespace paceline::vttablet
