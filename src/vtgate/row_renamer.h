// vtgate/row_renamer.h - rows that speak of databases (SHOW, EXPLAIN, information_schema) with
// "vt_<keyspace>" shown as the keyspace, in the text and the binary protocol. Rows of users' tables
// never pass through here. Pure. Threads: one at a time.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mysql/wire/column.h"
#include "mysql/wire/packet.h"

namespace paceline::vtgate {

class RowRenamer {
 public:
  // A new result; `columns`: its metadata as a tablet sends it.
  void Start(std::string_view columns, bool binary, std::string_view from, std::string_view to);
  // Takes row packets in arbitrary pieces and gives whole ones, as far as they have come. Valid
  // until the next call.
  std::string_view Feed(std::string_view bytes);

 private:
  void Rename(std::string_view body);
  void RenameText(std::string_view body);
  bool RenameBinary(std::string_view body);

  std::string from_, to_;
  bool binary_ = false;
  std::vector<mysql::wire::ColumnDefinition> columns_;
  mysql::wire::PacketAssembler packets_{size_t{1} << 30};
  std::string row_, out_;
};

}  // namespace paceline::vtgate
