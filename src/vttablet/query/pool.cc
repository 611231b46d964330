#include "vttablet/query/pool.h"

#include <cstdint>
#include <utility>

#include "base/log.h"

namespace paceline::vttablet {

void PoolBudget::Join(io::Loop& loop, Pool& pool) {
  auto member = std::make_shared<Member>();
  member->loop = &loop;
  member->pool = &pool;
  std::lock_guard lock(mutex_);
  members_.push_back(std::move(member));
}

void PoolBudget::Leave(Pool& pool) {
  std::lock_guard lock(mutex_);
  for (const auto& member : members_) {
    if (member->pool == &pool) member->pool = nullptr;
  }
  std::erase_if(members_, [](const auto& member) { return member->pool == nullptr; });
}

void PoolBudget::AskForPlace() {
  std::lock_guard lock(mutex_);
  for (const auto& member : members_) {
    member->loop->Post([member] {
      if (member->pool != nullptr) member->pool->GiveUpPlace();
    });
  }
}

Pool::Pool(io::Loop& loop, PoolOptions options, QueryMetrics& metrics)
    : loop_(loop), options_(std::move(options)), metrics_(metrics), budget_(options_.budget) {
  if (budget_ == nullptr)
    budget_ =
        std::make_shared<PoolBudget>(options_.statements, options_.transactions, options_.streams);
  budget_->Join(loop_, *this);
}

Pool::~Pool() {
  if (!closed_) budget_->Leave(*this);
  CloseIdle();
}

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
    if (best_rank == 1 && budget_->places.TryAcquire()) {
      budget_->places.Release();
      return nullptr;
    }
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

io::Task<Status> Pool::TakePermit(bool transaction, Deadline deadline) {
  const auto permit = transaction ? Connection::Permit::kTransaction : Connection::Permit::kQuery;
  io::SharedSemaphore& semaphore = SemaphoreOf(permit);
  const char* what = transaction ? "transaction" : "connection";
  if (closed_) co_return Fail(Code::kClusterEvent, "operation not allowed in state NOT_SERVING");
  if (semaphore.TryAcquire()) co_return Status();
  if (options_.wait_timeout > Duration(0)) {
    deadline = deadline.EarlierOf(Deadline::After(loop_.clock(), options_.wait_timeout));
  }
  const Time began = loop_.Now();
  metrics_.waiting.Add();
  Status acquired = co_await semaphore.Acquire(this, options_.max_waiting, deadline);
  metrics_.waiting.Add(-1);
  if (!acquired && acquired.error().code() == Code::kResourceExhausted) {
    metrics_.wait_refused.Add();
    co_return Fail(Code::kResourceExhausted, "{} pool waiter cap reached: {}", what,
                   acquired.error().message());
  }
  metrics_.waits.Add();
  metrics_.wait_ns.Add((loop_.Now() - began).count());
  if (!acquired && acquired.error().code() == Code::kDeadlineExceeded) {
    metrics_.wait_timeouts.Add();
    co_return Fail(Code::kResourceExhausted, "{} pool timed out: no {} became free", what, what);
  }
  if (!acquired) co_return Fail(Code::kClusterEvent, "operation not allowed in state NOT_SERVING");
  co_return Status();
}

// Whoever comes here has a permit and no connection yet, so while all places are taken one of them
// at least is an idle connection's: this loop's, or another's, which closes it when it is asked, or
// when it is given back.
io::Task<Status> Pool::TakePlace(Deadline deadline) {
  if (budget_->places.TryAcquire()) co_return Status();
  if (!idle_.empty()) Free(RemoveIdle(0));
  if (budget_->places.TryAcquire()) co_return Status();
  // Asked once it stands in line.
  loop_.Post([budget = budget_] { budget->AskForPlace(); });
  Status taken = co_await budget_->places.Acquire(this, SIZE_MAX, deadline);
  if (taken) co_return taken;
  if (taken.error().code() == Code::kCanceled)
    co_return Fail(Code::kClusterEvent, "operation not allowed in state NOT_SERVING");
  co_return Fail(Code::kResourceExhausted, "no connection could be opened in time: all are in use");
}

io::Task<Result<ConnectionPtr>> Pool::Take(Want want, Deadline deadline) {
  const auto permit =
      want.transaction ? Connection::Permit::kTransaction : Connection::Permit::kQuery;
  Status permitted = co_await TakePermit(want.transaction, deadline);
  if (!permitted) co_return Fail(permitted.error());
  uint64_t settings_id = want.settings != nullptr ? want.settings->id : 0;
  ConnectionPtr connection = PickIdle(want.found_rows, settings_id, false);
  if (connection == nullptr) {
    Status place = co_await TakePlace(deadline);
    if (!place) {
      SemaphoreOf(permit).Release();
      co_return Fail(place.error());
    }
    ++connections_;
    metrics_.dials.Add();
    Result<ConnectionPtr> dialed =
        co_await Connection::Dial(options_.mysqld, want.found_rows, deadline);
    if (!dialed) {
      --connections_;
      budget_->places.Release();
      Publish();
      metrics_.dial_errors.Add();
      SemaphoreOf(permit).Release();
      co_return Fail(Code::kClusterEvent, "no connection to mysqld: {}", dialed.error().message());
    }
    connection = std::move(*dialed);
  }
  connection->permit = permit;
  Publish();
  co_return connection;
}

void Pool::Give(ConnectionPtr connection) {
  io::SharedSemaphore& semaphore = SemaphoreOf(connection->permit);
  connection->permit = Connection::Permit::kNone;
  if (closed_ || budget_->places.waiting() > 0) {
    Free(std::move(connection));
  } else {
    connection->idle_since = loop_.Now();
    idle_.push_back(std::move(connection));
  }
  Publish();
  semaphore.Release();
}

void Pool::Discard(ConnectionPtr connection) {
  io::SharedSemaphore& semaphore = SemaphoreOf(connection->permit);
  Free(std::move(connection));
  semaphore.Release();
}

void Pool::Free(ConnectionPtr connection) {
  connection.reset();
  --connections_;
  Publish();
  budget_->places.Release();
}

void Pool::Move(Connection& connection, Connection::Permit to) {
  if (connection.permit != Connection::Permit::kQuery || !SemaphoreOf(to).TryAcquire()) return;
  connection.permit = to;
  budget_->statements.Release();
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

void Pool::GiveUpPlace() {
  if (budget_->places.waiting() > 0 && !idle_.empty()) Free(RemoveIdle(0));
}

void Pool::Close() {
  closed_ = true;
  budget_->Leave(*this);
  for (io::SharedSemaphore* one : {&budget_->statements, &budget_->transactions, &budget_->places})
    one->Cancel(this);
  CloseIdle();
}

}  // namespace paceline::vttablet
