// sql/describe.h - an outline as one line of text: for tests, debug pages and VEXPLAIN.
#pragma once

#include <string>
#include <string_view>

#include "sql/outline.h"

namespace paceline::sql {

// "select tables=ks.t:read dbs=ks:qualifier features=for_update name=x"; parts that are empty are
// left out.
std::string Describe(std::string_view text, const Outline& outline);
std::string FeatureNames(uint64_t features);  // comma separated

}  // namespace paceline::sql
