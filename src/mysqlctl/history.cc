#include "mysqlctl/history.h"

#include <filesystem>

#include "base/strings.h"
#include "mysqld/folder.h"

namespace paceline::mysqlctl {
namespace {

std::string HistoryFile(const mysqld::Layout& layout) { return layout.dir + "/mysqld.semisync"; }

}  // namespace

History ReadHistory(const mysqld::Layout& layout) {
  std::string text = mysqld::ReadFileFrom(HistoryFile(layout), 0, 64);
  std::vector<std::string_view> words = Split(Trim(text), ' ');  // on confirmed 12345
  History history;
  history.on = !words.empty() && words[0] == "on";
  std::optional<uint64_t> bytes;
  if (history.on && words.size() == 3 && words[1] == "confirmed") bytes = ParseUint(words[2]);
  history.confirmed = bytes.has_value();
  history.log_bytes = bytes.value_or(0);
  return history;
}

bool WasReleased(const mysqld::Layout& layout, const History& history) {
  constexpr size_t kMost = 64u << 20;
  std::error_code failed;
  const uint64_t size = std::filesystem::file_size(layout.error_log(), failed);
  if (failed || size < history.log_bytes || size - history.log_bytes > kMost) return true;
  const std::string text =
      Lower(mysqld::ReadFileFrom(layout.error_log(), history.log_bytes, size - history.log_bytes));
  return text.find("semi-sync replication switched off") != text.npos ||
         text.find("semi-sync replication disabled on the") != text.npos;
}

Status WriteHistory(const mysqld::Layout& layout, const History& history,
                    const std::string& owner) {
  std::string text = !history.on          ? "off\n"
                     : !history.confirmed ? "on\n"
                                          : fmt::format("on confirmed {}\n", history.log_bytes);
  return mysqld::WriteFileDurably(HistoryFile(layout), text, owner);
}

}  // namespace paceline::mysqlctl
