#include "mysqld/users.h"

#include "base/strings.h"

namespace paceline::mysqld {
namespace {

// With SELECT and SHOW VIEW, all that can be granted on a database.
constexpr std::string_view kWrites =
    "INSERT, UPDATE, DELETE, CREATE, DROP, REFERENCES, INDEX, ALTER, CREATE TEMPORARY TABLES, "
    "LOCK TABLES, EXECUTE, CREATE VIEW, CREATE ROUTINE, ALTER ROUTINE, EVENT, TRIGGER";

class Script {
 public:
  explicit Script(const Flavor& flavor) : flavor_(flavor) {}
  void Line(std::string_view statement) {
    fmt::format_to(std::back_inserter(out_), "{};\n", statement);
  }
  void User(Account role, const Users::One& user, std::string_view host, std::string privileges,
            std::string_view option = "") {
    const std::string account = Create(user, host);
    for (const std::string& more : flavor_.ExtraGrants(role)) privileges += ", " + more;
    Line(fmt::format("GRANT {} ON *.* TO {}{}", privileges, account, option));
  }
  void App(const Users::One& user) {
    const std::string account = Create(user, "localhost");
    for (const std::string& grant : flavor_.AppGrants(account, kWrites)) Line(grant);
    for (const char* table : {"time_zone", "time_zone_name", "time_zone_transition",
                              "time_zone_transition_type", "time_zone_leap_second"})
      Line(fmt::format("GRANT SELECT ON mysql.{} TO {}", table, account));
  }
  std::string Take() { return std::move(out_); }

 private:
  std::string Create(const Users::One& user, std::string_view host) {
    std::string account = fmt::format("{}@{}", QuoteText(user.name), QuoteText(host));
    Line(fmt::format("CREATE USER {} IDENTIFIED BY {}", account, QuoteText(user.password)));
    return account;
  }

  const Flavor& flavor_;
  std::string out_;
};

}  // namespace

std::string InitSql(const Users& users, const Flavor& flavor) {
  Script script(flavor);
  script.Line("SET SESSION sql_log_bin = 0");
  script.Line("FLUSH PRIVILEGES");  // a bootstrap knows no accounts before
  script.User(Account::kDba, users.dba, "localhost", "ALL", " WITH GRANT OPTION");
  script.App(users.app);
  script.User(Account::kAppDebug, users.app_debug, "localhost", "SELECT, SHOW DATABASES, PROCESS");
  const std::string trusted = fmt::format(
      "SELECT, SHOW VIEW, {}, RELOAD, PROCESS, SHOW DATABASES, REPLICATION CLIENT, REPLICATION "
      "SLAVE",
      kWrites);
  script.User(Account::kAllPrivs, users.allprivs, "localhost", trusted);
  script.User(Account::kRepl, users.repl, "%", "REPLICATION SLAVE");
  script.User(Account::kFiltered, users.filtered, "localhost", trusted);
  if (users.with_bench) {
    std::string bench =
        "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, INDEX, ALTER, RELOAD, PROCESS";
    script.User(Account::kBench, users.bench, "%", bench);
    script.User(Account::kBench, users.bench, "localhost", bench);
  }
  // root has no password here and nobody needs it: vt_dba is the administrator.
  script.Line(flavor.DropRoot());
  script.Line("DROP DATABASE IF EXISTS test");
  script.Line("FLUSH PRIVILEGES");
  return script.Take();
}

}  // namespace paceline::mysqld
