#include "local/demo_load.h"

#include <algorithm>

#include "base/strings.h"

namespace paceline::local {

DemoLoad::DemoLoad(mysql::ConnectOptions gate, int writers) : gate_(std::move(gate)) {
  writers_.resize(static_cast<size_t>(writers));
  for (int i = 0; i < writers; ++i) writers_[static_cast<size_t>(i)].number = i;
}

io::Task<Status> DemoLoad::Start(Deadline deadline) {
  run_ = io::Loop::Current().clock().WallNow().unix_ns / 1000;
  auto connection = co_await mysql::Connection::Connect(gate_, deadline);
  if (!connection) co_return Fail(connection.error());
  std::string sql =
      "CREATE TABLE IF NOT EXISTS paceline_demo (id BIGINT AUTO_INCREMENT PRIMARY KEY, run BIGINT "
      "NOT NULL, writer INT NOT NULL, n BIGINT NOT NULL, KEY (run, writer, n))";
  auto made = co_await (*connection)->Query(std::move(sql), deadline);
  if (!made) co_return Fail(made.error());
  for (Writer& writer : writers_) io::Detach(Write(*this, writer));
  co_return Status();
}

io::Task<void> DemoLoad::Stop(Deadline deadline) {
  bool left = co_await running_.Close(deadline);
  (void)left;
}

io::Task<void> DemoLoad::Write(DemoLoad& self, Writer& writer) {
  std::optional<io::Gate::Pass> pass = self.running_.Enter();
  std::unique_ptr<mysql::Connection> connection;
  while (pass && !self.running_.closed()) {
    Error error(Code::kUnknown, "");
    bool ok = false;
    if (connection == nullptr || !connection->usable()) {
      auto made = co_await mysql::Connection::Connect(self.gate_, Deadline::In(30s));
      if (made) {
        connection = std::move(*made);
      } else {
        error = made.error();
      }
    }
    if (connection != nullptr && connection->usable()) {
      int64_t n = ++writer.n;
      std::string sql =
          fmt::format("INSERT INTO paceline_demo (run, writer, n) VALUES ({}, {}, {})", self.run_,
                      writer.number, n);
      auto written = co_await connection->Query(std::move(sql), Deadline::In(90s));
      ok = written.has_value();
      if (ok) {
        writer.acknowledged.insert(n);
      } else {
        error = written.error();
      }
    }
    Time now = io::Loop::Current().Now();
    if (ok) {
      bool long_ago = writer.last != Time{} && now - writer.last > 20ms;
      if (long_ago) writer.gaps.emplace_back(now, now - writer.last);
      writer.last = now;
    } else {
      ++self.errors_[error.ToString()];
      connection.reset();
    }
    Duration pause = ok ? kPause : Duration(50ms);
    bool open = co_await io::Sleep(self.running_, Deadline::In(pause));
    if (!open) break;
  }
}

bool DemoLoad::AllWroteSince(Time moment) const {
  return std::ranges::all_of(writers_, [&](const Writer& writer) { return writer.last > moment; });
}

Duration DemoLoad::LongestGap(Time moment) const {
  Duration longest = 20ms;
  for (const Writer& writer : writers_) {
    for (const auto& [when, gap] : writer.gaps) {
      if (when > moment) longest = std::max(longest, gap);
    }
  }
  return longest;
}

int64_t DemoLoad::acknowledged() const {
  int64_t sum = 0;
  for (const Writer& writer : writers_) sum += static_cast<int64_t>(writer.acknowledged.size());
  return sum;
}

io::Task<Result<DemoLoad::Verdict>> DemoLoad::Verify(Deadline deadline) {
  auto connection = co_await mysql::Connection::Connect(gate_, deadline);
  if (!connection) co_return Fail(connection.error());
  Verdict verdict;
  for (const Writer& writer : writers_) {
    std::string sql = fmt::format(
        "SELECT n, COUNT(*) FROM paceline_demo WHERE run = {} AND writer = {} GROUP BY n", run_,
        writer.number);
    mysql::QueryLimits limits{.rows_max = 10'000'000};
    auto found = co_await (*connection)->Query(std::move(sql), deadline, limits);
    if (!found) co_return Fail(found.error());
    std::set<int64_t> there;
    for (size_t row = 0; row < found->rows.size(); ++row) {
      there.insert(ParseInt(found->Text(row, size_t{0})).value_or(-1));
      verdict.doubled += found->Text(row, size_t{1}) != "1";
    }
    for (int64_t n : writer.acknowledged) verdict.lost += !there.contains(n);
  }
  co_return verdict;
}

}  // namespace paceline::local
