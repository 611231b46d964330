// cmd/tablet_process.h - a vttablet as a part of a process: alone in `vttablet`, or behind a gate
// in `vtgate --with-tablet`. Threads: one loop, the tablet's own; the query loops are its threads.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cmd/query_threads.h"
#include "io/loop.h"
#include "record/record.h"

namespace paceline::cmd {

struct Tablet;

class TabletProcess {
 public:
  TabletProcess();
  ~TabletProcess();
  // Reads vttablet's command line. A value: the exit code to end with, help or an error told.
  std::optional<int> Parse(const std::vector<std::string>& arguments);
  // Until it is registered and its role is known; may take minutes, for mysqld. Errors: why it
  // cannot serve, naming the flag, file or address.
  io::Task<Status> Start(io::Loop& loop);
  // Its query loops, from early in Start on: null before.
  QueryThreads* query();
  const record::TabletAlias& alias() const;
  const std::string& log_level() const;
  // "tablet zone1-0000000100 of ks/0 listens on ..."
  std::string About() const;
  // Drains and ends; whoever uses query() has stopped.
  io::Task<void> Stop();

 private:
  std::unique_ptr<Tablet> tablet_;
};

}  // namespace paceline::cmd
