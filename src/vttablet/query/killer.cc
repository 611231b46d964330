#include "vttablet/query/killer.h"

#include <utility>

#include "base/log.h"
#include "io/loop.h"
#include "mysql/wire/ok_packet.h"

namespace paceline::vttablet {
namespace {

constexpr Duration kKillTime = std::chrono::seconds(5);
constexpr size_t kStateBytes = 4096;
// Both flavors' states begin so: "Waiting for semi-sync ACK from replica", "... from slave".
constexpr std::string_view kAckWait = "Waiting for semi-sync ACK";

}  // namespace

void Killer::Kill(std::shared_ptr<KillTicket> ticket) { io::Detach(Run(this, std::move(ticket))); }

io::Task<void> Killer::Run(Killer* self, std::shared_ptr<KillTicket> ticket) {
  std::optional<io::Gate::Pass> pass = self->gate_.Enter();
  Deadline deadline = Deadline::After(io::Loop::Current().clock(), kKillTime);
  if (pass) {
    Status locked = co_await self->mutex_.Lock(deadline);
    if (locked) {
      Status killed = co_await self->KillOne(*ticket, deadline);
      self->mutex_.Unlock();
      if (!killed) {
        ticket->failed = true;
        self->connection_.reset();
        LOG_WARNING("cannot end the statement of mysqld thread {}: {}", ticket->thread_id,
                    killed.error().message());
      }
    } else {
      ticket->failed = true;
    }
  } else {
    ticket->failed = true;
  }
  ticket->done.Set();
}

io::Task<Status> Killer::KillOne(KillTicket& ticket, Deadline deadline) {
  if (ticket.over) co_return Status();
  if (connection_ == nullptr || !connection_->LooksAlive()) {
    connection_.reset();
    Result<ConnectionPtr> dialed = co_await Connection::Dial(options_, false, deadline);
    if (!dialed) co_return Fail(dialed.error());
    connection_ = std::move(*dialed);
  }
  std::string look = fmt::format("SELECT STATE FROM {} WHERE ID = {}",
                                 ticket.is_mariadb ? "information_schema.PROCESSLIST"
                                                   : "performance_schema.processlist",
                                 ticket.thread_id);
  std::string rows;
  Result<mysql::wire::Terminator> looked =
      co_await connection_->Query(look, &rows, kStateBytes, deadline);
  if (!looked) co_return Fail(looked.error());
  // Unable to see is no licence to kill.
  if (looked->is_error()) co_return Fail(mysql::wire::ErrorOf(*looked));
  if (rows.find(kAckWait) != std::string::npos) {
    ticket.withheld = true;
    metrics_.kills_withheld.Add();
    co_return Status();
  }
  if (ticket.over) co_return Status();
  ticket.sent = true;
  metrics_.kills.Add();
  std::string kill = fmt::format("KILL QUERY {}", ticket.thread_id);
  Result<mysql::wire::Terminator> killed =
      co_await connection_->Run(mysql::wire::Command::kQuery, kill, deadline);
  if (!killed) co_return Fail(killed.error());
  constexpr uint16_t kNoSuchThread = 1094;
  if (killed->is_error() && killed->error_number != kNoSuchThread) {
    co_return Fail(mysql::wire::ErrorOf(*killed));
  }
  co_return Status();
}

io::Task<void> Killer::Close() {
  [[maybe_unused]] bool left = co_await gate_.Close(Deadline::Never());
  connection_.reset();
}

}  // namespace paceline::vttablet
