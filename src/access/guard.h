// access/guard.h - admits or refuses what is asked of an administrative interface, and keeps the
// audit log: one JSON object a line, {"time", "who", "role", "how", "from", "action", "target",
// "result"}. What only reads is not logged unless it is refused. Refusals are counted by reason
// (AccessRefusals). Threads: any.
#pragma once

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>

#include "access/users.h"
#include "base/metrics.h"
#include "base/time.h"

namespace paceline::access {

struct Request {
  std::string action;  // "PlannedReparentShard", "POST /api/reparent"
  std::string target;  // "test_keyspace/0"; may be empty
  Role needs = Role::kAdmin;
  std::string peer;  // "127.0.0.1:40312", "ipv4:127.0.0.1:40312", "unix:..."
  // "Bearer <token>" or "Basic <base64 of name:token>".
  std::string authorization;
  std::string certificate;  // common name of the client's, verified; empty: none
};

struct Caller {
  std::string name;
  Role role = Role::kNone;
  std::string how;  // "token", "certificate", "loopback", "open"
};

struct GuardOptions {
  std::string users_file;  // empty: see README.md
  std::string audit_file;  // appended to; empty: the process's log
  bool open = false;       // everybody is admin: for a laboratory
};

class Guard {
 public:
  // Errors: kInvalidArgument, kNotFound for an unreadable users file; kPermissionDenied for the
  // audit file.
  static Result<std::shared_ptr<Guard>> Make(GuardOptions options, Metrics& metrics);
  ~Guard();
  Guard(const Guard&) = delete;

  // Errors: kUnauthenticated, kPermissionDenied; both are in the audit log then.
  Result<Caller> Admit(const Request& request);
  // How what was admitted has ended.
  void Done(const Request& request, const Caller& caller, const Status& result);
  // A refusal that somebody else decided: "cross-site".
  void Refused(const Request& request, const std::string& reason, const std::string& why);
  // Credentials are asked for even from this machine.
  bool asks() const { return !options_.users_file.empty(); }

 private:
  Guard(GuardOptions options, Metrics& metrics);
  Status Load();
  void LoadWhenChanged();
  Result<Caller> Know(const Request& request, std::string* reason);
  void Write(const Request& request, const Caller& caller, const std::string& result);

  const GuardOptions options_;
  MetricFamily<Counter>& refusals_;
  std::mutex mutex_;
  std::shared_ptr<const Users> users_;
  int64_t changed_ns_ = 0, size_ = -1;  // of the file that users_ is from
  FILE* audit_ = nullptr;
};

bool IsThisMachine(std::string_view peer);

}  // namespace paceline::access
