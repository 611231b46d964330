#include "backup/retention.h"

namespace paceline::backup {
namespace {

std::vector<BackupEntry> Complete(std::vector<BackupEntry> entries) {
  std::erase_if(entries, [](const BackupEntry& entry) { return !entry.complete; });
  return entries;
}

int64_t Since(const BackupEntry& entry, WallTime now) {
  return now.unix_ns - entry.parsed.time.unix_ns;
}

}  // namespace

std::vector<std::string> Expired(const std::vector<BackupEntry>& entries, const BackupRules& rules,
                                 WallTime now) {
  std::vector<BackupEntry> complete = Complete(entries);
  std::vector<std::string> expired;
  if (rules.keep_count <= 0 && rules.keep_age <= Duration(0)) return expired;
  size_t newer = 0;  // usable ones
  for (size_t i = complete.size(); i-- > 0;) {
    const BackupEntry& entry = complete[i];
    // Nothing goes before something usable is there instead.
    bool counted =
        newer == 0 || (rules.keep_count > 0 && newer < static_cast<size_t>(rules.keep_count));
    bool young = rules.keep_age > Duration(0) && Since(entry, now) < rules.keep_age.count();
    if (!counted && !young) expired.insert(expired.begin(), entry.name);
    if (entry.usable()) ++newer;
  }
  return expired;
}

bool IsDue(const std::vector<BackupEntry>& entries, const BackupRules& rules, WallTime now) {
  if (rules.every <= Duration(0)) return false;
  std::vector<BackupEntry> complete = Complete(entries);
  if (complete.empty()) return true;
  if (Since(complete.back(), now) < rules.every.count() / 4) return false;
  for (auto entry = complete.rbegin(); entry != complete.rend(); ++entry) {
    if (entry->usable()) return Since(*entry, now) >= rules.every.count();
  }
  return true;
}

std::string ToVerify(const std::vector<BackupEntry>& entries, const BackupRules& rules) {
  std::vector<BackupEntry> complete = Complete(entries);
  if (rules.verify_every <= Duration(0) || complete.empty()) return {};
  const BackupEntry& newest = complete.back();
  for (const BackupEntry& entry : complete) {
    bool recent =
        newest.parsed.time.unix_ns - entry.parsed.time.unix_ns < rules.verify_every.count();
    if (entry.verified != Verified::kNot && (recent || &entry == &newest)) return {};
  }
  return newest.name;
}

}  // namespace paceline::backup
