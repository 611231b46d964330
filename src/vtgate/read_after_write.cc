#include "vtgate/read_after_write.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/strings.h"

namespace paceline::vtgate {

bool ReadAfterWrite::Knows(std::string_view variable) {
  return variable == "read_from_replicas" || variable == "read_after_write" ||
         variable == "read_after_write_timeout" || variable == "read_after_write_gtid";
}

Status ReadAfterWrite::Set(std::string_view variable, std::string_view value) {
  const auto wrong = [&] {
    return Fail(Error::FromMysql(
        1231, "42000",
        fmt::format("Variable '{}' can't be set to the value of '{}'", variable, value)));
  };
  if (variable == "read_after_write_gtid") {
    if (value.find_first_of("\\'\"") != std::string_view::npos) return wrong();
    confirmed_.clear();
    gtid_ = value;
    options_.on = options_.on || !gtid_.empty();
    return {};
  }
  if (variable == "read_after_write_timeout") {
    std::string text(value);
    char* end = nullptr;
    const double seconds = strtod(text.c_str(), &end);
    if (text.empty() || *end != 0 || !std::isfinite(seconds) || seconds < 0 || seconds > 3600) {
      return wrong();
    }
    options_.timeout = std::chrono::milliseconds(static_cast<int64_t>(seconds * 1000));
    return {};
  }
  const bool on = value == "1" || EqualsIgnoreCase(value, "on") || EqualsIgnoreCase(value, "true");
  const bool off =
      value == "0" || EqualsIgnoreCase(value, "off") || EqualsIgnoreCase(value, "false");
  if (!on && !off) return wrong();
  if (variable == "read_from_replicas") {
    options_.from_replicas = on;
    options_.on = options_.on || on;
    return {};
  }
  options_.on = on;
  return {};
}

void ReadAfterWrite::Wrote(const std::string& gtid) {
  if (!options_.on || gtid.empty() || gtid == gtid_) return;
  gtid_ = gtid;
  confirmed_.clear();
}

bool ReadAfterWrite::MustAsk(const record::TabletAlias& replica) const {
  return options_.on && !gtid_.empty() &&
         std::ranges::find(confirmed_, replica) == confirmed_.end();
}

std::string ReadAfterWrite::Question(sql::Flavor flavor) const {
  const double seconds = std::chrono::duration<double>(options_.timeout).count();
  const char* function =
      flavor == sql::Flavor::kMariadb ? "MASTER_GTID_WAIT" : "WAIT_FOR_EXECUTED_GTID_SET";
  // To MySQL 0 seconds mean for ever.
  return fmt::format("SELECT {}('{}', {:.3f})", function, gtid_, std::max(seconds, 0.001));
}

void ReadAfterWrite::Forget(const ReadAfterWriteOptions& options, std::string_view user) {
  options_ = options;
  const auto& users = options.from_replicas_users;
  if (std::ranges::find(users, user) != users.end()) options_.from_replicas = true;
  options_.from_replicas_users.clear();
  options_.on = options_.on || options_.from_replicas;
  gtid_.clear();
  confirmed_.clear();
}

}  // namespace paceline::vtgate
