// vtgate/definitions.h - column definitions with one schema name changed (wire layout: MySQL's "Column Definition").
// Pure.
#pragma once

#include <string>
#include <string_view>

namespace paceline::vtgate {

// Appends to `out` the definition packets (with headers) of `packets`, their schema field `to` where it is `from`.
// Packets that are no definitions are copied as they are.
void RenameSchemaInDefinitions(std::string_view packets, std::string_view from, std::string_view to,
                               std::string& out);

// The body of a definition of a text column, utf8mb4.
void AppendTextColumn(std::string_view name, std::string& out);

}  // namespace paceline::vtgate
