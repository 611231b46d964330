// vtgate/read_after_write.h - a session's reads on replicas after its own writes: which write a
// replica must have, and which replicas are known to have it. Pure. Threads: one session's loop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "record/record.h"
#include "sql/lexer.h"

namespace paceline::vtgate {

struct ReadAfterWriteOptions {
  bool on = false;           // for sessions that do not say otherwise
  Duration timeout = 1s;     // how long a read waits for a replica
  bool then_primary = true;  // after it: read at the primary, else an error
  // Plain reads outside transactions go to replicas by themselves, which wait for own writes then.
  bool from_replicas = false;
  std::vector<std::string> from_replicas_users;  // for these users' sessions
};

class ReadAfterWrite {
 public:
  ReadAfterWrite(const ReadAfterWriteOptions& options, std::string_view user) {
    Forget(options, user);
  }

  // SET read_from_replicas = on | off; SET read_after_write = on | off; SET
  // read_after_write_timeout = <seconds>; SET read_after_write_gtid = '<position>': also what
  // others wrote. False: no such variable. Errors: 1231 42000.
  static bool Knows(std::string_view variable);
  Status Set(std::string_view variable, std::string_view value);

  bool on() const { return options_.on; }
  bool from_replicas() const { return options_.from_replicas; }
  Duration timeout() const { return options_.timeout; }
  bool then_primary() const { return options_.then_primary; }
  // The session wrote this; all it wrote before is contained where this is.
  void Wrote(const std::string& gtid);
  bool MustAsk(const record::TabletAlias& replica) const;
  void Confirmed(const record::TabletAlias& replica) { confirmed_.push_back(replica); }
  // "SELECT ...", whose only value is 0 once the replica has it; waits for it up to the timeout.
  std::string Question(sql::Flavor flavor) const;
  void Forget(const ReadAfterWriteOptions& options, std::string_view user);

 private:
  ReadAfterWriteOptions options_;  // without the users
  std::string gtid_;
  std::vector<record::TabletAlias> confirmed_;
};

}  // namespace paceline::vtgate
