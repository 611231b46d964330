// local/demo_load.h - writers that never repeat a statement, through a local cluster's vtgate, and
// the ledger of what they were told. Threads: one loop. Lifetime: Stop() before destroying.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "io/sync.h"
#include "mysql/client/connection.h"

namespace paceline::local {

class DemoLoad {
 public:
  static constexpr Duration kPause = std::chrono::milliseconds(5);
  DemoLoad(mysql::ConnectOptions gate, int writers);
  // Makes its table and starts writing.
  io::Task<Status> Start(Deadline deadline);
  io::Task<void> Stop(Deadline deadline);

  // Each writer has written after `moment`.
  bool AllWroteSince(Time moment) const;
  // The longest time that a writer waited between two acknowledged writes, the later one after
  // `moment`.
  Duration LongestGap(Time moment) const;
  int64_t acknowledged() const;
  const std::map<std::string, int64_t>& errors() const { return errors_; }

  struct Verdict {
    int64_t lost = 0;     // acknowledged, and not there
    int64_t doubled = 0;  // there more than once
  };
  // REQUIRES: stopped.
  io::Task<Result<Verdict>> Verify(Deadline deadline);

 private:
  struct Writer {
    int number = 0;
    int64_t n = 0;
    std::set<int64_t> acknowledged;
    Time last{};
    std::vector<std::pair<Time, Duration>> gaps;  // those above 20 ms
  };
  static io::Task<void> Write(DemoLoad& self, Writer& writer);

  mysql::ConnectOptions gate_;
  int64_t run_ = 0;
  std::vector<Writer> writers_;
  std::map<std::string, int64_t> errors_;
  io::Gate running_;
};

}  // namespace paceline::local
