// rpc/vtctld.h - port::Vtctld over gRPC: vtctlservice.Vtctld (vtctldclient) and vtctlservice.Vtctl
// (vtctlclient, whose commands are words and whose answer is a stream of log events).
#pragma once

#include <memory>

#include "io/loop.h"
#include "port/vtctld.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace paceline::rpc {

// `vtctld` is called on `loop` and outlives the server's Shutdown.
void AddVtctld(Server& server, io::Loop& loop, port::Vtctld& vtctld);

// Keeps the channel; used on its loop.
std::unique_ptr<port::Vtctld> NewVtctldClient(ChannelPtr channel);

}  // namespace paceline::rpc
