// rpc/live_session.h - what VtgateFront keeps for one client's session. Threads: its loop.
#pragma once

#include <list>
#include <string>

#include "io/sync.h"
#include "rpc/vtgate_front.h"
#include "vtgate/session.h"

namespace paceline::rpc {

struct VtgateFront::Live {
  Live(vtgate::GateContext& gate, vtgate::SessionIdentity identity, sql::Dialect dialect)
      : session(gate, std::move(identity), dialect) {}

  // A tablet's connection, or a transaction that is to begin with its first statement.
  bool Owns() const { return session.in_transaction() || session.pin().id != 0; }
  void Kill(bool query_only) {
    session.KillQuery();
    if (!query_only) killed = true;  // ended when its call ends, or by the sweep
  }
  vtgate::SessionRow Describe() const {
    bool runs = !session.running().empty();
    return {id,
            session.identity().user,
            "grpc",
            session.target().ToString(),
            runs                       ? "running"
            : session.in_transaction() ? "transaction"
                                       : "idle",
            session.PinnedBecause(),
            session.running()};
  }

  vtgate::Session session;
  std::string uuid;
  uint64_t id = 0;
  std::string target;        // as the client wrote it
  std::string shown_target;  // what the session called it then
  io::Mutex turn;            // one call at a time
  size_t users = 0;          // calls that run or wait for their turn
  Time used_at;
  bool killed = false;
  bool gone = false;  // no longer in the table: the next call makes another
  std::list<Live*>::iterator place;
};

}  // namespace paceline::rpc
