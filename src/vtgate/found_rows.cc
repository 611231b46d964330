#include "vtgate/found_rows.h"

#include <algorithm>
#include <string_view>

#include "base/strings.h"

namespace paceline::vtgate {
namespace {

using mysql::wire::Terminator;
using sql::Kind;
using sql::Show;

// The number behind `label` in the text of an OK packet: "Rows matched: 3  Changed: 1".
std::optional<uint64_t> NumberAfter(std::string_view info, std::string_view label) {
  const size_t at = info.find(label);
  if (at == std::string_view::npos) return std::nullopt;
  info.remove_prefix(at + label.size());
  return ParseUint(info.substr(0, info.find_first_not_of("0123456789")));
}

// Those whose rows the server sends by itself, without a query over a table of its own.
bool CountsShow(Show show, bool mariadb) {
  switch (show) {
    case Show::kOther:
    case Show::kCreate:
    case Show::kCreateDatabase:
    case Show::kWarnings:
    case Show::kErrors:
    case Show::kProcesslist:
    case Show::kGrants:
    case Show::kPrivileges:
    case Show::kBinaryLogs:
    case Show::kReplicaStatus:
    case Show::kProfile:
      return false;
    case Show::kOpenTables:
      return !mariadb;
    default:
      return true;
  }
}

std::optional<uint64_t> AfterRows(const plan::Plan& plan, const Terminator& end, bool mariadb) {
  switch (plan.outline.kind) {
    case Kind::kShow:
      if (!CountsShow(plan.outline.show, mariadb)) return std::nullopt;
      return end.row_count;
    case Kind::kExplain:
      if (mariadb) return 0;
      return std::nullopt;
    case Kind::kTableCare:
    case Kind::kHelp:
    case Kind::kXa:
    case Kind::kAdmin:
      return std::nullopt;
    default:
      return end.row_count;
  }
}

}  // namespace

std::optional<uint64_t> FoundRowsAfter(const plan::Plan& plan, const Terminator& end,
                                       sql::Flavor flavor) {
  const bool mariadb = flavor == sql::Flavor::kMariadb;
  if (end.kind == Terminator::Kind::kEof) return AfterRows(plan, end, mariadb);
  const auto& tables = plan.outline.tables;
  const bool reads = std::any_of(tables.begin(), tables.end(), [](const sql::TableUse& table) {
    return table.access == sql::Access::kRead;
  });
  switch (plan.outline.kind) {
    case Kind::kSelect:  // INTO a variable or a file
      if (mariadb && tables.empty()) return 0;
      return end.affected_rows;
    case Kind::kUpdate:
      return mariadb ? std::nullopt : NumberAfter(end.info, "Rows matched: ");
    case Kind::kInsert:
    case Kind::kReplace:
      return reads ? NumberAfter(end.info, "Records: ") : std::nullopt;
    case Kind::kDo:
      return mariadb ? std::nullopt : std::optional<uint64_t>(1);
    case Kind::kSet:
      return mariadb && reads ? std::optional<uint64_t>(1) : std::nullopt;
    case Kind::kDdl:
      return mariadb && reads ? std::optional<uint64_t>(end.affected_rows) : std::nullopt;
    default:
      return std::nullopt;
  }
}

}  // namespace paceline::vtgate
