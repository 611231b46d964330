// mysql/client/row_stream.h - a result too large to keep: its rows as they come, and no faster than
// they are taken. Threads: the connection's loop.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mysql/client/connection.h"
#include "mysql/wire/packet.h"

namespace paceline::mysql {

class RowStream {
 public:
  using Values = std::vector<std::optional<std::string_view>>;  // nullopt: NULL

  // A row may have `row_bytes_max` at most. Lifetime: `connection` outlives it.
  explicit RowStream(Connection& connection, size_t row_bytes_max = size_t{1} << 30)
      : connection_(connection), rows_(row_bytes_max) {}
  // One left in the middle leaves a connection that is of no more use.
  ~RowStream();
  RowStream(const RowStream&) = delete;

  // REQUIRES: `sql` is one statement. Errors: of the connection.
  io::Task<Status> Begin(std::string sql, Deadline deadline);
  // Gives the rows that came next to `take`, in order; its views live until it returns. False: that
  // was the last. Errors: mysqld's own, which end it; of the connection.
  io::Task<Result<bool>> Next(std::function<void(const Values&)> take, Deadline deadline);

 private:
  Status TakeRows(std::string_view bytes, const std::function<void(const Values&)>& take);
  io::Task<Status> Fill(Deadline deadline);
  Connection& connection_;
  wire::ResultScanner scanner_;
  wire::PacketAssembler rows_;
  Values values_;
  std::string buffer_;  // read and not used up
  bool open_ = false;
};

}  // namespace paceline::mysql
