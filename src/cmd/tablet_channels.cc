#include "cmd/tablet_channels.h"

#include "base/log.h"
#include "rpc/tablet_manager.h"

namespace paceline::cmd {

std::shared_ptr<port::TabletManager> TabletChannels::Connect(const record::Tablet& tablet) {
  rpc::ChannelPtr& channel = channels_[tablet.GrpcAddress()];
  if (channel == nullptr) {
    Result<rpc::ChannelPtr> opened = rpc::Channel::Open(loop_, tablet.GrpcAddress(), options_);
    if (!opened) {
      LOG_ERROR("tablet {}: {}", tablet.alias.ToString(), opened.error().ToString());
      return std::make_shared<port::TabletManager>();  // answers kUnimplemented to everything
    }
    channel = *opened;
  }
  return rpc::NewTabletManagerClient(channel);
}

io::Task<void> TabletChannels::Close() {
  std::map<std::string, rpc::ChannelPtr> channels = std::move(channels_);
  channels_.clear();
  for (auto& [address, channel] : channels) {
    if (channel) co_await channel->Close();
  }
}

}  // namespace paceline::cmd
