// mysqld/users.h - the accounts of a new server, as SQL that its initialisation runs. Pure.
#pragma once

#include <string>

#include "mysqld/flavor.h"

namespace paceline::mysqld {

// Names and scope are Vitess's; what each may do is less where Paceline needs less.
struct Users {
  struct One {
    std::string name, password;
  };
  One dba{"vt_dba", ""};  // everything, on the unix socket only
  One app{
      "vt_app",
      ""};  // the application's statements: no files, accounts, binary logs or writes of `mysql`
  One app_debug{"vt_appdebug", ""};  // reads
  One allprivs{"vt_allprivs", ""};   // more, for operators; no SUPER
  One repl{"vt_repl", ""};           // replicas fetch with it, over TCP
  One filtered{"vt_filtered", ""};   // streams of the binary log and their targets
  bool with_bench = false;  // vt_bench, over TCP, for direct measurements in local clusters
  One bench{"vt_bench", ""};
};

// One statement a line. Nothing of it is written to the binary log.
std::string InitSql(const Users& users, const Flavor& flavor);

}  // namespace paceline::mysqld
