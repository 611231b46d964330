#include "vtgate/substitute_sink.h"

#include "mysql/wire/rows.h"

namespace paceline::vtgate {

void SubstituteSink::OnColumns(uint64_t column_count, std::string_view packets) {
  has_columns_ = true;
  if (binary_) {
    Result<std::vector<mysql::wire::ColumnDefinition>> parsed = mysql::wire::ParseColumns(packets);
    if (parsed) columns_ = *std::move(parsed);
  }
  client_.OnColumns(column_count, packets);
}

void SubstituteSink::OnEnd(const mysql::wire::Terminator& end, bool last) {
  if (!end.is_error() && has_columns_) {
    std::string bytes;
    uint8_t sequence = 0;  // counted anew for the client
    for (const auto& row : rows_) {
      std::vector<std::optional<std::string_view>> values(row.begin(), row.end());
      if (!binary_) {
        mysql::wire::AppendTextRow(&bytes, values, &sequence);
      } else if (!mysql::wire::AppendBinaryRow(&bytes, columns_, values, &sequence)) {
        break;
      }
    }
    if (!bytes.empty()) client_.OnRows(bytes);
  }
  mysql::wire::Terminator counted = end;
  if (end.kind == mysql::wire::Terminator::Kind::kEof) counted.row_count = rows_.size();
  client_.OnEnd(counted, last);
}

}  // namespace paceline::vtgate
