#include "vtctld/text.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "base/strings.h"
#include "gtid/set.h"
#include "query.pb.h"
#include "record/record.h"
#include "replicationdata.pb.h"
#include "topodata.pb.h"
#include "vtctldata.pb.h"

namespace paceline::vtctld {
namespace {

std::string HostPort(const std::string& host, int port) {
  bool v6 = host.find(':') != std::string::npos;
  return v6 ? fmt::format("[{}]:{}", host, port) : fmt::format("{}:{}", host, port);
}

std::string TermStart(const topodata::Tablet& tablet) {
  int64_t seconds = tablet.primary_term_start_time().seconds();
  if (seconds <= 0) return "<null>";
  using namespace std::chrono;
  sys_seconds at{std::chrono::seconds(seconds)};
  year_month_day day{floor<days>(at)};
  hh_mm_ss time{at - floor<days>(at)};
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(day.year()),
                     static_cast<unsigned>(day.month()), static_cast<unsigned>(day.day()),
                     time.hours().count(), time.minutes().count(), time.seconds().count());
}

std::string OrNull(const std::string& text) { return text.empty() ? "<null>" : text; }

// How many characters a terminal shows, as far as UTF-8 tells.
size_t Width(std::string_view text) {
  return static_cast<size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

}  // namespace

std::string AliasText(const topodata::TabletAlias& alias) {
  return record::TabletAlias{alias.cell(), alias.uid()}.ToString();
}

std::string TagsText(const std::map<std::string, std::string>& tags) {
  std::vector<std::string> pairs;
  for (const auto& [key, value] : tags) pairs.push_back(fmt::format("{}: \"{}\"", key, value));
  return "[" + Join(pairs, " ") + "]";
}

std::string TabletLine(const topodata::Tablet& tablet, Names names) {
  auto port = tablet.port_map().find("vt");
  int vt_port = port == tablet.port_map().end() ? 0 : port->second;
  std::string type(record::TabletTypeName(static_cast<record::TabletType>(tablet.type())));
  if (names == Names::kRunBook && tablet.type() == topodata::PRIMARY) type = "master";
  std::map<std::string, std::string> tags(tablet.tags().begin(), tablet.tags().end());
  std::string line =
      fmt::format("{} {} {} {} {} {} {}", AliasText(tablet.alias()), OrNull(tablet.keyspace()),
                  OrNull(tablet.shard()), type, HostPort(tablet.hostname(), vt_port),
                  HostPort(tablet.mysql_hostname(), tablet.mysql_port()), TagsText(tags));
  if (names == Names::kToday) line += " " + TermStart(tablet);
  return line;
}

std::string PositionLines(const vtctldata::ShardReplicationPositionsResponse& response,
                          Names names) {
  struct Row {
    const topodata::Tablet* tablet;
    const replicationdata::Status* status;
    uint64_t transactions;
  };
  std::vector<Row> rows;
  for (const auto& [alias, tablet] : response.tablet_map()) {
    auto found = response.replication_statuses().find(alias);
    Row row{&tablet, found == response.replication_statuses().end() ? nullptr : &found->second, 0};
    if (row.status != nullptr) {
      Result<gtid::Set> set = gtid::Set::ParseEncoded(row.status->position());
      if (set) row.transactions = set->Count();
    }
    rows.push_back(row);
  }
  std::ranges::sort(rows, [](const Row& a, const Row& b) {
    auto key = [](const Row& row) {
      return std::tuple(row.tablet->type() != topodata::PRIMARY, row.status == nullptr,
                        ~row.transactions, row.tablet->alias().cell(), row.tablet->alias().uid());
    };
    return key(a) < key(b);
  });
  std::string text;
  for (const Row& row : rows) {
    text += TabletLine(*row.tablet, names);
    if (row.status == nullptr) {
      text += " <err> <err> <err>\n";
    } else {
      text +=
          fmt::format(" {} {}\n", row.status->position(), row.status->replication_lag_seconds());
    }
  }
  return text;
}

std::string ResultTable(const query::QueryResult& result) {
  if (result.fields_size() == 0) return "";
  size_t columns = static_cast<size_t>(result.fields_size());
  std::vector<std::vector<std::string>> cells(1);
  for (const query::Field& field : result.fields()) cells[0].push_back(field.name());
  for (const query::Row& row : result.rows()) {
    std::vector<std::string>& line = cells.emplace_back();
    size_t at = 0;
    for (int64_t length : row.lengths()) {
      if (length < 0) {
        line.push_back("NULL");
        continue;
      }
      line.push_back(
          row.values().substr(std::min(at, row.values().size()), static_cast<size_t>(length)));
      at += static_cast<size_t>(length);
    }
    line.resize(columns);
  }
  std::vector<size_t> widths(columns);
  for (const auto& line : cells) {
    for (size_t i = 0; i < columns; ++i) widths[i] = std::max(widths[i], Width(line[i]));
  }
  std::string rule = "+";
  for (size_t width : widths) rule += std::string(width + 2, '-') + "+";
  rule += "\n";
  std::string text = rule;
  for (size_t row = 0; row < cells.size(); ++row) {
    text += "|";
    for (size_t i = 0; i < columns; ++i) {
      text += " " + cells[row][i] + std::string(widths[i] - Width(cells[row][i]), ' ') + " |";
    }
    text += "\n";
    if (row == 0) text += rule;
  }
  return text + rule;
}

Result<bool> ParseBool(std::string_view text) {
  std::string lower = Lower(text);
  if (lower == "true" || lower == "1" || lower == "t" || lower == "yes" || lower == "on")
    return true;
  if (lower == "false" || lower == "0" || lower == "f" || lower == "no" || lower == "off")
    return false;
  return Fail(Code::kInvalidArgument, "\"{}\" is neither true nor false", text);
}

}  // namespace paceline::vtctld
