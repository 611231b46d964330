// mysql/client/row_stream.h - a result of any size, read a piece at a time: what the reader does
// not take stays with the server. Threads: the loop's thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/client/connection.h"
#include "mysql/wire/column.h"
#include "mysql/wire/packet.h"
#include "mysql/wire/result_scanner.h"

namespace paceline::mysql {

// One statement's rows over a connection, which has no other use until Next() has said kEnd or an
// error. Lifetime: the connection outlives it.
class RowStream {
 public:
  using Values = std::vector<std::optional<std::string_view>>;
  enum class Item : uint8_t { kRow, kEnd };

  explicit RowStream(Connection& connection) : connection_(connection) {}
  // Errors: as Connection::SendCommand.
  io::Task<Status> Start(std::string sql, Deadline deadline);
  // kRow: values() holds until the next call. Does not wait while a whole row is there. `deadline`
  // is of this wait alone. Errors: mysqld's own, which leave the connection usable, kUnavailable,
  // kDeadlineExceeded, kInternal.
  io::Task<Result<Item>> Next(Deadline deadline);
  // A row that is there already, without a coroutine's cost.
  bool TryNext();

  const std::vector<wire::ColumnDefinition>& columns() const { return columns_; }
  const Values& values() const { return values_; }

 private:
  // Moves what was read and scanned behind the rows that wait. False: nothing more to scan.
  bool Scan();
  std::unexpected<Error> Broken(Error error);

  Connection& connection_;
  wire::ResultScanner scanner_;
  wire::PacketAssembler packets_{size_t{1} << 30};
  std::vector<wire::ColumnDefinition> columns_;
  Values values_;
  std::string input_;  // read, not yet scanned
  std::string meta_;
  std::string rows_;  // scanned; from at_ on not yet taken
  size_t at_ = 0;
  bool ended_ = false;
  bool broken_ = false;
};

}  // namespace paceline::mysql
