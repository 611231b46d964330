#include "access/guard.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/base64.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time_text.h"

namespace paceline::access {
namespace {

bool TakeWord(std::string_view* text, std::string_view word) {
  if (text->size() <= word.size() || !EqualsIgnoreCase(text->substr(0, word.size()), word) ||
      (*text)[word.size()] != ' ') {
    return false;
  }
  *text = Trim(text->substr(word.size() + 1));
  return true;
}

}  // namespace

bool IsThisMachine(std::string_view peer) {
  if (peer.starts_with("unix")) return true;
  if (peer.starts_with("ipv4:") || peer.starts_with("ipv6:")) peer.remove_prefix(5);
  for (std::string_view lead :
       {"127.", "[::1]", "%5B::1%5D", "::1:", "::ffff:127.", "[::ffff:127.", "%5B::ffff:127."}) {
    if (peer.starts_with(lead)) return true;
  }
  return false;
}

Guard::Guard(GuardOptions options, Metrics& metrics)
    : options_(std::move(options)),
      refusals_(metrics.AddCounters("AccessRefusals", "administrative requests that were refused",
                                    {"Reason"})) {
  // There from the beginning, so that an alert sees the first one.
  for (const char* reason : {"no credentials", "unknown credentials", "role", "cross-site"})
    refusals_.With({reason});
}

Guard::~Guard() {
  if (audit_ != nullptr) fclose(audit_);
}

Result<std::shared_ptr<Guard>> Guard::Make(GuardOptions options, Metrics& metrics) {
  std::shared_ptr<Guard> guard(new Guard(std::move(options), metrics));
  if (!guard->options_.users_file.empty()) {
    Status loaded = guard->Load();
    if (!loaded) return Fail(loaded.error());
  }
  const std::string& audit = guard->options_.audit_file;
  if (!audit.empty()) {
    guard->audit_ = fopen(audit.c_str(), "ae");
    if (guard->audit_ == nullptr) {
      return Fail(Code::kPermissionDenied, "cannot append to the audit log {}: {}", audit,
                  strerror(errno));
    }
  }
  return guard;
}

Status Guard::Load() {
  struct stat found {};
  const std::string& path = options_.users_file;
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  if (!file || stat(path.c_str(), &found) != 0)
    return Fail(Code::kNotFound, "cannot read the users file {}", path);
  changed_ns_ = found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec;
  size_ = found.st_size;
  Result<Users> users = Users::Parse(text.str());
  if (!users) return Fail(users.error().Context("users file " + path));
  users_ = std::make_shared<const Users>(std::move(*users));
  return {};
}

void Guard::LoadWhenChanged() {
  struct stat found {};
  if (stat(options_.users_file.c_str(), &found) != 0) return;
  const int64_t changed = found.st_mtim.tv_sec * 1'000'000'000 + found.st_mtim.tv_nsec;
  if (changed == changed_ns_ && found.st_size == size_) return;
  Status loaded = Load();
  if (!loaded) LOG_ERROR("users stay as they were: {}", loaded.error().ToString());
}

Result<Caller> Guard::Know(const Request& request, std::string* reason) {
  if (options_.open) return Caller{"anybody", Role::kAdmin, "open"};
  if (options_.users_file.empty()) {
    if (!request.certificate.empty())
      return Caller{request.certificate, Role::kAdmin, "certificate"};
    if (IsThisMachine(request.peer)) return Caller{"local", Role::kAdmin, "loopback"};
    *reason = "no credentials";
    return Fail(Code::kUnauthenticated,
                "{} is not allowed from {}: without --access-users-file only this machine is let "
                "in, and who shows a certificate (--grpc-ca)",
                request.action, request.peer);
  }
  std::shared_ptr<const Users> users;
  {
    std::lock_guard lock(mutex_);
    LoadWhenChanged();
    users = users_;
  }
  std::string_view credentials = Trim(request.authorization);
  if (!credentials.empty()) {
    *reason = "unknown credentials";
    std::string basic;
    std::string_view name, token;
    if (TakeWord(&credentials, "Bearer")) {
      token = credentials;
    } else if (TakeWord(&credentials, "Basic")) {
      basic = Base64Decode(credentials);
      const size_t colon = basic.find(':');
      if (colon != std::string::npos) {
        name = std::string_view(basic).substr(0, colon);
        token = std::string_view(basic).substr(colon + 1);
      }
    }
    const User* user = token.empty() ? nullptr : users->ByToken(token);
    // The name before the token must be its owner's.
    if (user != nullptr && (name.data() == nullptr || name == user->name))
      return Caller{user->name, user->role, "token"};
    return Fail(Code::kUnauthenticated, "{}: these credentials are not known", request.action);
  }
  if (!request.certificate.empty()) {
    if (const User* user = users->ByCertificate(request.certificate))
      return Caller{user->name, user->role, "certificate"};
  }
  *reason = "no credentials";
  return Fail(Code::kUnauthenticated,
              "{} needs credentials: a token of the users file, as \"Authorization: Bearer\"",
              request.action);
}

Result<Caller> Guard::Admit(const Request& request) {
  std::string reason;
  Result<Caller> caller = Know(request, &reason);
  if (!caller) {
    Refused(request, reason, caller.error().ToString());
    return caller;
  }
  if (caller->role >= request.needs) return caller;
  Error error(Code::kPermissionDenied,
              fmt::format("{} needs the role {}, {} has {}", request.action,
                          RoleName(request.needs), caller->name, RoleName(caller->role)));
  refusals_.With({"role"}).Add();
  Write(request, *caller, error.ToString());
  return Fail(error);
}

void Guard::Refused(const Request& request, const std::string& reason, const std::string& why) {
  refusals_.With({reason}).Add();
  Write(request, Caller{}, why);
}

void Guard::Done(const Request& request, const Caller& caller, const Status& result) {
  if (request.needs <= Role::kViewer) return;
  Write(request, caller, result ? "OK" : result.error().ToString());
}

void Guard::Write(const Request& request, const Caller& caller, const std::string& result) {
  const nlohmann::json line = {{"time", Rfc3339Millis(SystemClock().WallNow())},
                               {"who", caller.name},
                               {"role", RoleName(caller.role)},
                               {"how", caller.how},
                               {"from", request.peer},
                               {"action", request.action},
                               {"target", request.target},
                               {"result", result}};
  // What came from outside need not be UTF-8.
  const std::string text = line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  if (audit_ == nullptr) {
    LOG_INFO("audit: {}", text);
    return;
  }
  std::lock_guard lock(mutex_);
  const bool written = fputs((text + "\n").c_str(), audit_) >= 0 && fflush(audit_) == 0;
  if (!written) LOG_ERROR("the audit log cannot be written: {}; it says {}", strerror(errno), text);
}

}  // namespace paceline::access
