// rpc/vtgate.h - port::Vtgate over gRPC: vtgateservice.Vitess, for applications that speak gRPC to
// the gate.
#pragma once

#include "io/loop.h"
#include "port/vtgate.h"
#include "rpc/server.h"

namespace paceline::rpc {

// `vtgate` is called on `loop` and outlives the server's Shutdown. One gate loop serves all gRPC
// clients.
void AddVtgate(Server& server, io::Loop& loop, port::Vtgate& vtgate);

}  // namespace paceline::rpc
