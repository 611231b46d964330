// cmd/tablet_channels.h - one gRPC channel for each tablet address, kept and shared. Threads: one
// loop.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "cmd/common_flags.h"
#include "io/loop.h"
#include "port/tablet_manager.h"
#include "record/record.h"
#include "rpc/channel.h"

namespace paceline::cmd {

class TabletChannels {
 public:
  TabletChannels(io::Loop& loop, const PeerTlsFlags& tls) : loop_(loop), options_(tls.Channel()) {}
  std::shared_ptr<port::TabletManager> Connect(const record::Tablet& tablet);
  io::Task<void> Close();

 private:
  io::Loop& loop_;
  rpc::ChannelOptions options_;
  std::map<std::string, rpc::ChannelPtr> channels_;
};

}  // namespace paceline::cmd
