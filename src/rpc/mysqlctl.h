// rpc/mysqlctl.h - port::Mysqlctl over gRPC: mysqlctl.MysqlCtl and paceline.agent.MysqldAgent. The
// address is mostly a unix socket, "unix:/path".
#pragma once

#include <memory>

#include "io/loop.h"
#include "port/mysqlctl.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace paceline::rpc {

// `agent` is called on `loop` and outlives the server's Shutdown. WatchMysqld of the agent is
// called in turns of kWatchTurn, so that it ends soon after its client has gone.
void AddMysqlctl(Server& server, io::Loop& loop, port::Mysqlctl& agent);
inline constexpr Duration kWatchTurn = std::chrono::milliseconds(500);

// Keeps the channel; used on its loop.
std::unique_ptr<port::Mysqlctl> NewMysqlctlClient(ChannelPtr channel);

}  // namespace paceline::rpc
