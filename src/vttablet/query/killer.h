// vttablet/query/killer.h - ends statements by KILL QUERY over one side connection. Never a session
// that waits for a semi-sync acknowledgement: it would not end, and on MariaDB a hard kill would
// commit what must not be committed. One in another state of a commit is looked at again, since a
// procedure may go on after it. Threads: its loop's.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "io/sync.h"
#include "vttablet/query/connection.h"
#include "vttablet/query/metrics.h"

namespace paceline::vttablet {

// One wish to end a statement, shared by the killer and the one whose statement it is.
struct KillTicket {
  uint32_t thread_id = 0;
  bool over = false;      // set by the owner: the statement has ended, do not kill
  bool sent = false;      // KILL QUERY was sent: it may yet hit the connection's next statement
  bool withheld = false;  // the session was committing
  bool failed = false;    // nothing could be done
  io::Event done;
};

// Ends a thread of mysqld, or only its statement. A session that waits for an acknowledgement waits
// on.
std::string KillText(bool mariadb, uint64_t thread, bool statement_only);

// Whether a session in this state (SHOW PROCESSLIST) is writing a commit, or waits for its
// acknowledgement. One that waits for a lock to commit is not.
bool IsCommitting(std::string_view state);

class Killer {
 public:
  Killer(MysqldOptions options, QueryMetrics& metrics)
      : options_(std::move(options)), metrics_(metrics) {}

  // Starts at once; ticket->done is set within some seconds.
  void Kill(std::shared_ptr<KillTicket> ticket);
  // Waits for those under way and closes the side connection.
  io::Task<void> Close();

 private:
  static io::Task<void> Run(Killer* self, std::shared_ptr<KillTicket> ticket);
  // False: it is to be looked at again.
  io::Task<Result<bool>> KillOne(KillTicket& ticket, Deadline deadline);

  MysqldOptions options_;
  QueryMetrics& metrics_;
  ConnectionPtr connection_;
  io::Mutex mutex_;
  io::Gate gate_;
};

}  // namespace paceline::vttablet
