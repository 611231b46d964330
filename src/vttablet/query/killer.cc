#include "vttablet/query/killer.h"

#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "io/loop.h"
#include "io/sleep.h"
#include "mysql/wire/codec.h"
#include "mysql/wire/ok_packet.h"
#include "mysql/wire/packet_walk.h"

namespace paceline::vttablet {
namespace {

constexpr Duration kKillTime = std::chrono::seconds(5);
constexpr Duration kLookEvery = std::chrono::milliseconds(50);
constexpr size_t kListBytes = 16 * 1024 * 1024;
// Both flavors' states begin so: "Waiting for semi-sync ACK from replica", "... from slave".
constexpr std::string_view kAckWait = "Waiting for semi-sync ACK";

// The state of a thread in the rows of SHOW PROCESSLIST (information_schema's and
// performance_schema's tables of the same name each lack on some server). Id, User, Host, db,
// Command, Time, State, Info.
std::optional<std::string> StateOf(std::string_view rows, uint32_t thread_id) {
  constexpr int kBetween = 5;
  constexpr uint8_t kNull = 0xfb;
  const std::string wanted = std::to_string(thread_id);
  mysql::wire::PacketWalk walk(rows);
  std::string_view body;
  while (walk.Next(&body)) {
    mysql::wire::Reader row(body);
    if (row.LenencBytes() != wanted) continue;
    auto field = [&row] {
      if (row.Peek() != kNull) return row.LenencBytes();
      row.Skip(1);
      return std::string_view();
    };
    for (int i = 0; i < kBetween; ++i) field();
    return std::string(field());
  }
  return std::nullopt;
}

}  // namespace

// MySQL: "waiting for handler commit"; MariaDB: "Commit", "Waiting for prior transaction to
// commit". The lock is that of FLUSH TABLES WITH READ LOCK.
bool IsCommitting(std::string_view state) {
  if (state.starts_with(kAckWait)) return true;
  return Lower(state).find("commit") != std::string::npos && !state.ends_with("lock");
}

// On MariaDB the wait for an acknowledgement heeds hard kills, which are the default, and no soft
// ones (tried on 10.11).
std::string KillText(bool mariadb, uint64_t thread, bool statement_only) {
  return fmt::format("KILL {}{} {}", mariadb ? "SOFT " : "",
                     statement_only ? "QUERY" : "CONNECTION", thread);
}

void Killer::Kill(std::shared_ptr<KillTicket> ticket) { io::Detach(Run(this, std::move(ticket))); }

io::Task<void> Killer::Run(Killer* self, std::shared_ptr<KillTicket> ticket) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  Deadline deadline = Deadline::After(io::Loop::Current().clock(), kKillTime);
  for (bool again = pass.has_value(); again;) {
    Status locked = co_await self->mutex_.Lock(deadline);
    ticket->failed = !locked;
    if (!locked) break;
    Result<bool> settled = co_await self->KillOne(*ticket, deadline);
    self->mutex_.Unlock();
    if (!settled) {
      ticket->failed = true;
      self->connection_.reset();
      LOG_WARNING("cannot end the statement of mysqld thread {}: {}", ticket->thread_id,
                  settled.error().message());
    }
    again = settled && !*settled && !deadline.Passed(io::Loop::Current().Now());
    if (again) again = co_await io::Sleep(self->gate_, Deadline::In(kLookEvery));
  }
  if (!pass) ticket->failed = true;
  if (ticket->withheld) self->metrics_.kills_withheld.Add();
  ticket->done.Set();
}

io::Task<Result<bool>> Killer::KillOne(KillTicket& ticket, Deadline deadline) {
  if (ticket.over) co_return true;
  if (connection_ == nullptr || !connection_->LooksAlive()) {
    connection_.reset();
    Result<ConnectionPtr> dialed = co_await Connection::Dial(options_, false, deadline);
    if (!dialed) co_return Fail(dialed.error());
    connection_ = std::move(*dialed);
  }
  std::string rows;
  Result<mysql::wire::Terminator> looked =
      co_await connection_->Query("SHOW PROCESSLIST", &rows, kListBytes, deadline);
  if (!looked) co_return Fail(looked.error());
  // Unable to see is no licence to kill.
  if (looked->is_error()) co_return Fail(mysql::wire::ErrorOf(*looked));
  std::optional<std::string> state = StateOf(rows, ticket.thread_id);
  if (!state) co_return true;  // gone
  ticket.withheld = IsCommitting(*state);
  if (ticket.withheld) co_return state->starts_with(kAckWait);
  if (ticket.over) co_return true;
  ticket.sent = true;
  metrics_.kills.Add();
  // The session may have come to wait for an acknowledgement since it was looked at.
  std::string kill = KillText(connection_->is_mariadb(), ticket.thread_id, true);
  Result<mysql::wire::Terminator> killed =
      co_await connection_->Run(mysql::wire::Command::kQuery, kill, deadline);
  if (!killed) co_return Fail(killed.error());
  constexpr uint16_t kNoSuchThread = 1094;
  if (killed->is_error() && killed->error_number != kNoSuchThread) {
    co_return Fail(mysql::wire::ErrorOf(*killed));
  }
  co_return true;
}

io::Task<void> Killer::Close() {
  [[maybe_unused]] bool left = co_await gate_.Close(Deadline::Never());
  connection_.reset();
}

}  // namespace paceline::vttablet
