// port/mysqlctl.h - the service mysqlctl.MysqlCtl (proto/mysqlctl.proto) and what Paceline adds to
// it (paceline.agent.MysqldAgent): the process of one mysqld, and immediate notice when it dies.
#pragma once

#include <string>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"

#define PACELINE_MYSQLCTL_METHODS(X) \
  X(Start)                           \
  X(Shutdown) X(RunMysqlUpgrade) X(ReinitConfig) X(RefreshConfig) X(VersionString) X(HostMetrics)

#define PACELINE_DECLARE(Method) \
  class Method##Request;         \
  class Method##Response;
namespace mysqlctl {
PACELINE_MYSQLCTL_METHODS(PACELINE_DECLARE)
}
#undef PACELINE_DECLARE

namespace paceline::port {

struct MysqldState {
  bool running = false;
  int32_t pid = 0;
  uint64_t start_count =
      0;                  // how often the agent has seen it start: a change means it was restarted
  std::string last_exit;  // "signal 9", "exit code 1", "gone"; empty while it never ended
  bool held = false;      // died as primary: waits for Keep (DESIGN section 7, step 7)
};

class MysqldStateSink {
 public:
  virtual ~MysqldStateSink() = default;
  virtual void OnState(const MysqldState& state) = 0;
};

class Mysqlctl {
 public:
  virtual ~Mysqlctl() = default;
#define PACELINE_METHOD(Method)                                                                \
  virtual io::Task<Status> Method(const ::mysqlctl::Method##Request& request,                  \
                                  ::mysqlctl::Method##Response& response, Deadline deadline) { \
    (void)request, (void)response, (void)deadline;                                             \
    co_return Fail(Code::kUnimplemented, "MysqlCtl." #Method " is not offered here");          \
  }
  PACELINE_MYSQLCTL_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD

  // paceline.agent.MysqldAgent. Watch: the state at once, then every change at once; ends with an
  // error when the agent goes.
  virtual io::Task<Status> WatchMysqld(MysqldStateSink& sink, Deadline deadline) = 0;
  // Durable (fsync) before it returns: whether a death of mysqld must be held for vttablet's word.
  virtual io::Task<Status> SetRole(bool primary, Deadline deadline) = 0;
  // The word: start the held mysqld as it is.
  virtual io::Task<Status> Keep(Deadline deadline) = 0;
};

}  // namespace paceline::port
