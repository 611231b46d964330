#include "vttablet/query/pool.h"

#include <utility>

#include "base/log.h"

namespace paceline::vttablet {

Pool::Pool(io::Loop& loop, PoolOptions options, QueryMetrics& metrics)
    : loop_(loop),
      options_(std::move(options)),
      metrics_(metrics),
      statements_(options_.statements),
      transactions_(options_.transactions) {}

Pool::~Pool() { CloseIdle(); }

void Pool::Publish() {
  metrics_.connections.Set(static_cast<int64_t>(connections_));
  metrics_.idle.Set(static_cast<int64_t>(idle_.size()));
}

ConnectionPtr Pool::RemoveIdle(size_t index) {
  ConnectionPtr connection = std::move(idle_[index]);
  idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(index));
  return connection;
}

ConnectionPtr Pool::PickIdle(bool found_rows, uint64_t settings_id, bool only_equal) {
  for (;;) {
    size_t best = idle_.size();
    int best_rank = 0;
    for (size_t i = idle_.size(); i-- > 0;) {
      const Connection& one = *idle_[i];
      if (one.found_rows() != found_rows) continue;
      int rank = one.settings_id() == settings_id ? 3 : one.settings_id() == 0 ? 2 : 1;
      if (rank > best_rank) {
        best_rank = rank;
        best = i;
      }
      if (rank == 3) break;
    }
    if (best_rank == 0 || (only_equal && best_rank < 3)) return nullptr;
    // Rather a new connection than undoing another session's settings, while there is room.
    if (best_rank == 1 && connections_ < options_.statements + options_.transactions)
      return nullptr;
    ConnectionPtr connection = RemoveIdle(best);
    if (connection->LooksAlive()) return connection;
    metrics_.closed_broken.Add();
    Free(std::move(connection));
  }
}

ConnectionPtr Pool::TryTake(bool transaction, bool found_rows, uint64_t settings_id) {
  auto permit = transaction ? Connection::Permit::kTransaction : Connection::Permit::kQuery;
  if (!SemaphoreOf(permit).TryAcquire()) return nullptr;
  ConnectionPtr connection = PickIdle(found_rows, settings_id, true);
  if (connection == nullptr) {
    SemaphoreOf(permit).Release();
    return nullptr;
  }
  connection->permit = permit;
  return connection;
}

io::Task<Result<ConnectionPtr>> Pool::Take(Want want, Deadline deadline) {
  const auto permit =
      want.transaction ? Connection::Permit::kTransaction : Connection::Permit::kQuery;
  io::Semaphore& semaphore = SemaphoreOf(permit);
  const char* what = want.transaction ? "transaction" : "connection";
  if (!semaphore.TryAcquire()) {
    if (semaphore.waiting() >= options_.max_waiting) {
      metrics_.wait_refused.Add();
      co_return Fail(Code::kResourceExhausted, "{} pool waiter cap reached: {} wait already", what,
                     semaphore.waiting());
    }
    Deadline until = deadline;
    if (options_.wait_timeout > Duration(0)) {
      until = until.EarlierOf(Deadline::After(loop_.clock(), options_.wait_timeout));
    }
    const Time began = loop_.Now();
    metrics_.waits.Add();
    metrics_.waiting.Add();
    Status acquired = co_await semaphore.Acquire(until);
    metrics_.waiting.Add(-1);
    metrics_.wait_ns.Add((loop_.Now() - began).count());
    if (!acquired && acquired.error().code() == Code::kDeadlineExceeded) {
      metrics_.wait_timeouts.Add();
      co_return Fail(Code::kResourceExhausted, "{} pool timed out: no {} became free", what, what);
    }
    if (!acquired)
      co_return Fail(Code::kClusterEvent, "operation not allowed in state NOT_SERVING");
  }
  uint64_t settings_id = want.settings != nullptr ? want.settings->id : 0;
  ConnectionPtr connection = PickIdle(want.found_rows, settings_id, false);
  if (connection == nullptr) {
    // Another class may hold the room that is ours to use.
    while (connections_ >= options_.statements + options_.transactions && !idle_.empty()) {
      Free(RemoveIdle(0));
    }
    ++connections_;
    metrics_.dials.Add();
    Result<ConnectionPtr> dialed =
        co_await Connection::Dial(options_.mysqld, want.found_rows, deadline);
    if (!dialed) {
      --connections_;
      Publish();
      metrics_.dial_errors.Add();
      semaphore.Release();
      co_return Fail(Code::kClusterEvent, "no connection to mysqld: {}", dialed.error().message());
    }
    connection = std::move(*dialed);
  }
  connection->permit = permit;
  Publish();
  co_return connection;
}

void Pool::Give(ConnectionPtr connection) {
  io::Semaphore& semaphore = SemaphoreOf(connection->permit);
  connection->permit = Connection::Permit::kNone;
  if (closed_) {
    Free(std::move(connection));
  } else {
    connection->idle_since = loop_.Now();
    idle_.push_back(std::move(connection));
  }
  Publish();
  semaphore.Release();
}

void Pool::Discard(ConnectionPtr connection) {
  io::Semaphore& semaphore = SemaphoreOf(connection->permit);
  Free(std::move(connection));
  semaphore.Release();
}

void Pool::Free(ConnectionPtr connection) {
  connection.reset();
  --connections_;
  Publish();
}

void Pool::MoveToTransactions(Connection& connection) {
  if (connection.permit != Connection::Permit::kQuery || !transactions_.TryAcquire()) return;
  connection.permit = Connection::Permit::kTransaction;
  statements_.Release();
}

void Pool::Sweep() {
  const Time now = loop_.Now();
  for (size_t i = idle_.size(); i-- > 0;) {
    const Connection& one = *idle_[i];
    bool idle = options_.idle_timeout > Duration(0) && now - one.idle_since > options_.idle_timeout;
    bool old = options_.max_lifetime > Duration(0) && now - one.made_at() > options_.max_lifetime;
    if (!idle && !old) continue;
    (idle ? metrics_.closed_idle : metrics_.closed_lifetime).Add();
    Free(RemoveIdle(i));
  }
}

void Pool::CloseIdle() {
  while (!idle_.empty()) Free(RemoveIdle(idle_.size() - 1));
}

void Pool::Close() {
  closed_ = true;
  statements_.Close();
  transactions_.Close();
  CloseIdle();
}

}  // namespace paceline::vttablet
