#include "mysqld/users.h"

#include "base/strings.h"

namespace paceline::mysqld {
namespace {

constexpr std::string_view kAppPrivileges =
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER, SHOW "
    "DATABASES, "
    "CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, REPLICATION CLIENT, CREATE VIEW, SHOW VIEW, "
    "CREATE ROUTINE, "
    "ALTER ROUTINE, EVENT, TRIGGER";

class Script {
 public:
  explicit Script(const Flavor& flavor) : flavor_(flavor) {}
  void Line(std::string_view statement) {
    fmt::format_to(std::back_inserter(out_), "{};\n", statement);
  }
  void User(const Users::One& user, std::string_view host, std::string privileges,
            std::string_view option = "") {
    std::string account = fmt::format("{}@{}", QuoteText(user.name), QuoteText(host));
    Line(fmt::format("CREATE USER {} IDENTIFIED BY {}", account, QuoteText(user.password)));
    for (const std::string& more : flavor_.ExtraGrants(user.name)) privileges += ", " + more;
    Line(fmt::format("GRANT {} ON *.* TO {}{}", privileges, account, option));
  }
  std::string Take() { return std::move(out_); }

 private:
  const Flavor& flavor_;
  std::string out_;
};

}  // namespace

std::string InitSql(const Users& users, const Flavor& flavor) {
  Script script(flavor);
  script.Line("SET SESSION sql_log_bin = 0");
  script.Line("FLUSH PRIVILEGES");  // a bootstrap knows no accounts before
  script.User(users.dba, "localhost", "ALL", " WITH GRANT OPTION");
  std::string app(kAppPrivileges);
  script.User(users.app, "localhost", app);
  script.User(users.app_debug, "localhost", "SELECT, SHOW DATABASES, PROCESS");
  script.User(users.allprivs, "localhost", app + ", REPLICATION SLAVE");
  script.User(users.repl, "%", "REPLICATION SLAVE");
  script.User(users.filtered, "localhost", app + ", REPLICATION SLAVE");
  if (users.with_bench) {
    std::string bench =
        "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, RELOAD, PROCESS";
    script.User(users.bench, "%", bench);
    script.User(users.bench, "localhost", bench);
  }
  // root has no password here and nobody needs it: vt_dba is the administrator.
  script.Line(flavor.DropRoot());
  script.Line("DROP DATABASE IF EXISTS test");
  script.Line("FLUSH PRIVILEGES");
  return script.Take();
}

}  // namespace paceline::mysqld
