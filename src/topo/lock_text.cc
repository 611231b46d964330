#include "topo/lock_text.h"

#include <pwd.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/time_text.h"

namespace paceline::topo {
namespace {

std::string HostName() {
  char name[256] = {};
  return gethostname(name, sizeof(name) - 1) == 0 ? name : "unknown";
}

std::string UserName() {
  char buffer[4096];
  passwd entry, *found = nullptr;
  bool known =
      getpwuid_r(geteuid(), &entry, buffer, sizeof(buffer), &found) == 0 && found != nullptr;
  return known ? entry.pw_name : std::to_string(geteuid());
}

}  // namespace

std::string MakeLockText(std::string_view action, WallTime now) {
  nlohmann::ordered_json json;
  json["Action"] = action;
  json["HostName"] = HostName();
  json["UserName"] = UserName();
  json["Time"] = Rfc3339(now);
  json["Options"] = nlohmann::ordered_json::object();
  json["Status"] = "Running";
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

LockText ParseLockText(std::string_view text) {
  LockText lock;
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object()) {
    lock.action = text;
    return lock;
  }
  auto field = [&](const char* name) {
    auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  lock.action = field("Action");
  lock.host = field("HostName");
  lock.user = field("UserName");
  lock.time = field("Time");
  lock.status = field("Status");
  return lock;
}

std::string DescribeLock(std::string_view json) {
  LockText lock = ParseLockText(json);
  if (lock.host.empty()) return fmt::format("\"{}\"", lock.action);
  return fmt::format("\"{}\" by {}@{} since {}", lock.action, lock.user, lock.host, lock.time);
}

}  // namespace paceline::topo
