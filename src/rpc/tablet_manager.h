// rpc/tablet_manager.h - port::TabletManager over gRPC: tabletmanagerservice.TabletManager, which
// Vitess's tools speak too, and paceline.agent.TabletControl, which carries terms.
#pragma once

#include <memory>

#include "io/loop.h"
#include "port/tablet_manager.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace paceline::rpc {

// `manager` is called on `loop` and outlives the server's Shutdown.
void AddTabletManager(Server& server, io::Loop& loop, port::TabletManager& manager);

// Keeps the channel; used on its loop. Foreign tablets answer TabletControl with kUnimplemented.
std::unique_ptr<port::TabletManager> NewTabletManagerClient(ChannelPtr channel);

}  // namespace paceline::rpc
