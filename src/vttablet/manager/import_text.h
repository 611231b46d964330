// vttablet/manager/import_text.h - the texts of an import: statements that read a table and write
// it again, what of a definition is compared, and what a source must offer. Pure.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mysqld/version.h"

namespace paceline::vttablet {

enum class Literal : uint8_t { kNumber, kText, kBytes };

struct ImportColumn {
  std::string name;
  Literal literal = Literal::kText;
  bool single_precision = false;  // FLOAT: printed with six digits, unless as a double
  bool generated = false;         // computed by the server
};
// By DATA_TYPE of information_schema.columns: "bigint", "varbinary".
Literal LiteralOf(std::string_view data_type);

struct ImportTable {
  std::string database, name;
  std::vector<ImportColumn> columns;
  std::string Quoted() const;  // `db`.`name`
};
std::string SelectRows(const ImportTable& table);
// "INSERT INTO t (a, b) VALUES "; rows follow, with commas between.
std::string InsertHead(const ImportTable& table);
// `values`: one for each column that is not generated.
void AppendRow(const ImportTable& table, const std::vector<std::optional<std::string_view>>& values,
               std::string* sql);

// A table's definition without its AUTO_INCREMENT counter, which moves with every row.
std::string WithoutCounter(std::string_view create_table);

// 'name'@'host' for statements, and back from information_schema's GRANTEE or a DEFINER column
// ("root@localhost").
std::string QuoteAccount(std::string_view user, std::string_view host);

// Which rights `Import` needs and these lines of SHOW GRANTS do not give. Roles are not followed.
std::vector<std::string> MissingRights(const std::vector<std::string>& grants, bool mariadb);

// What a source says of itself.
struct SourceFacts {
  mysqld::ServerVersion version;
  bool log_bin = false;
  std::string binlog_format, binlog_row_image, gtid_mode;
  bool enforce_gtid = true;
  bool log_updates = true;  // what it replicates goes to its own binary log
  uint32_t server_id = 0;
  bool read_only = false;
  std::string replicates_from;  // "host:port"; empty: nobody's replica
  std::string log_filter;       // binlog_do_db or binlog_ignore_db
  int lower_case_table_names = 0;
  std::set<std::string> databases;             // without the server's own
  std::vector<std::string> tables_not_innodb;  // "db.table (MyISAM)"
  std::vector<std::string> versioned_tables;   // MariaDB: system versioned
  std::vector<std::string> missing_rights;
};
struct ImportWish {
  mysqld::ServerVersion version;  // of the tablet
  uint32_t server_id = 0;
  int lower_case_table_names = 0;
  std::string database;        // what the tablet serves
  std::string asked_database;  // by --source-db; empty: the same
  std::string sidecar;
};
// Each says what is wrong and what to do. Empty: it can be imported.
std::vector<std::string> WhyNotImport(const SourceFacts& source, const ImportWish& wish);
// What works less well than it could.
std::vector<std::string> ImportWarnings(const SourceFacts& source);

}  // namespace paceline::vttablet
