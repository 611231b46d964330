#include "rpc/tablet_manager.h"

#include "paceline_agent.pb.h"
#include "rpc/method.h"
#include "tabletmanagerdata.pb.h"

namespace paceline::rpc {
namespace {

#define MANAGER_PATH "/tabletmanagerservice.TabletManager/"
#define CONTROL_PATH "/paceline.agent.TabletControl/"

class Client final : public port::TabletManager {
 public:
  explicit Client(ChannelPtr channel) : channel_(std::move(channel)) {}

#define PACELINE_METHOD(Method)                                                               \
  io::Task<Status> Method(const ::tabletmanagerdata::Method##Request& request,                \
                          ::tabletmanagerdata::Method##Response& response, Deadline deadline) \
      override {                                                                              \
    return channel_->Unary(MANAGER_PATH #Method, request, response, deadline);                \
  }
  PACELINE_TABLET_MANAGER_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
#define PACELINE_METHOD(Method)                                                            \
  io::Task<Status> Method(const agent::Method##Request& request,                           \
                          agent::Method##Response& response, Deadline deadline) override { \
    return channel_->Unary(CONTROL_PATH #Method, request, response, deadline);             \
  }
  PACELINE_TABLET_CONTROL_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD

 private:
  ChannelPtr channel_;
};

}  // namespace

void AddTabletManager(Server& server, io::Loop& loop, port::TabletManager& manager) {
#define PACELINE_METHOD(Method) \
  server.Add(loop, UnaryMethod(MANAGER_PATH #Method, manager, &port::TabletManager::Method));
  PACELINE_TABLET_MANAGER_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
#define PACELINE_METHOD(Method) \
  server.Add(loop, UnaryMethod(CONTROL_PATH #Method, manager, &port::TabletManager::Method));
  PACELINE_TABLET_CONTROL_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
}

std::unique_ptr<port::TabletManager> NewTabletManagerClient(ChannelPtr channel) {
  return std::make_unique<Client>(std::move(channel));
}

}  // namespace paceline::rpc
