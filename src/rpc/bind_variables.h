// rpc/bind_variables.h - Vitess's statements travel with named places, ":name" and "::list"; a
// tablet of ours runs the text with the values written in. Threads: any.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "value/value.h"

namespace query {
class BindVariable;
class BoundQuery;
}  // namespace query

namespace paceline::rpc {

// The text with its places filled, a "?" with the value of its number ("v1",
// "v2") where there is one; quoted texts, quoted names and comments stay as they are.
// Errors: kInvalidArgument naming a place that has no value, or a list that is empty.
Result<std::string> FillIn(const query::BoundQuery& query);
// For a PREPARE: every place as "?", lists as "(?)", whatever values the query has.
std::string PlacesAsMarks(std::string_view sql);
// One value, or for a tuple "(1, 2)". Errors: kInvalidArgument for an empty tuple or an unknown
// type.
Result<std::string> BindVariableToSql(std::string_view name, const query::BindVariable& variable);

}  // namespace paceline::rpc
