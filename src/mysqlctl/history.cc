#include "mysqlctl/history.h"

#include "base/strings.h"
#include "mysqld/folder.h"

namespace paceline::mysqlctl {
namespace {

std::string HistoryFile(const mysqld::Layout& layout) { return layout.dir + "/mysqld.semisync"; }

}  // namespace

History ReadHistory(const mysqld::Layout& layout) {
  std::string text = mysqld::ReadFileFrom(HistoryFile(layout), 0, 64);
  History history;
  history.on = Trim(text) == "on" || Trim(text) == "on confirmed";
  history.confirmed = Trim(text) == "on confirmed";
  return history;
}

Status WriteHistory(const mysqld::Layout& layout, const History& history,
                    const std::string& owner) {
  std::string text = !history.on ? "off\n" : history.confirmed ? "on confirmed\n" : "on\n";
  return mysqld::WriteFileDurably(HistoryFile(layout), text, owner);
}

}  // namespace paceline::mysqlctl
