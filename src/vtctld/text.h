// vtctld/text.h - what the commands of both clients print for people and for awk. Pure.
#pragma once

#include <map>
#include <string>

#include "base/error.h"

namespace query {
class QueryResult;
}
namespace topodata {
class Tablet;
class TabletAlias;
}  // namespace topodata
namespace vtctldata {
class ShardReplicationPositionsResponse;
}

namespace paceline::vtctld {

// kToday: Vitess's line, with the time since when a primary leads as last column. kRunBook: the
// run-book's, which says "master" and has no such column.
enum class Names : uint8_t { kToday, kRunBook };

std::string AliasText(const topodata::TabletAlias& alias);
// "zone1-0000000100 commerce 0 primary 10.0.0.1:15002 10.0.0.1:3306 [] 2026-11-22T22:40:00Z"
std::string TabletLine(const topodata::Tablet& tablet, Names names);
// [key: "value" ...], sorted.
std::string TagsText(const std::map<std::string, std::string>& tags);
// A line for each tablet: its line, position and lag in seconds; primary first, then who has most.
std::string PositionLines(const vtctldata::ShardReplicationPositionsResponse& response,
                          Names names);
// As the mysql client draws it; empty for a result without columns.
std::string ResultTable(const query::QueryResult& result);
// "true", "1", "t" and so on. Errors: kInvalidArgument.
Result<bool> ParseBool(std::string_view text);

}  // namespace paceline::vtctld
