#include "mysqld/admin.h"

namespace paceline::mysqld {

io::Task<Result<ConnectionAdmin::Session>> ConnectionAdmin::Take(Deadline deadline) {
  Status permitted = co_await sessions_.Acquire(deadline);
  if (!permitted) co_return Fail(permitted.error());
  while (!idle_.empty()) {
    Session session = std::move(idle_.back());
    idle_.pop_back();
    // An idle session may have died with its server; a ping tells before a statement is given to
    // it.
    Status alive = co_await session->Ping(deadline);
    if (alive) co_return session;
  }
  Result<Session> opened = co_await mysql::Connection::Connect(options_, deadline);
  if (!opened) sessions_.Release();
  co_return opened;
}

void ConnectionAdmin::Return(Session session) {
  sessions_.Release();
  if (session->usable() && idle_.size() < 2) idle_.push_back(std::move(session));
}

io::Task<Result<mysql::QueryResult>> ConnectionAdmin::Query(std::string sql, Deadline deadline) {
  Result<Session> session = co_await Take(deadline);
  if (!session) co_return Fail(session.error());
  Result<mysql::QueryResult> result = co_await (*session)->Query(std::move(sql), deadline);
  Return(std::move(*session));
  co_return result;
}

io::Task<Status> ConnectionAdmin::Run(std::vector<std::string> statements, Deadline deadline) {
  Result<Session> session = co_await Take(deadline);
  if (!session) co_return Fail(session.error());
  Status status;
  for (std::string& sql : statements) {
    Result<mysql::QueryResult> result = co_await (*session)->Query(std::move(sql), deadline);
    if (result) continue;
    status = Fail(result.error());
    break;
  }
  if (!status && status.error().from_mysql()) {
    // A transaction that the statements began must not stay open on an idle session.
    Result<mysql::QueryResult> ended = co_await (*session)->Query("ROLLBACK", deadline);
    (void)ended;
  }
  Return(std::move(*session));
  co_return status;
}

io::Task<Result<std::vector<mysql::QueryResult>>> ConnectionAdmin::QueryAll(std::string sql,
                                                                            Deadline deadline) {
  Result<Session> session = co_await Take(deadline);
  if (!session) co_return Fail(session.error());
  Result<std::vector<mysql::QueryResult>> results =
      co_await (*session)->QueryAll(std::move(sql), deadline);
  Return(std::move(*session));
  co_return results;
}

}  // namespace paceline::mysqld
