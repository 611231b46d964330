#include "rpc/tablet_manager.h"

#include "paceline_agent.pb.h"
#include "rpc/backup_events.h"
#include "rpc/byte_stream.h"
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
  io::Task<Status> StreamData(io::ByteSink& sink, Deadline deadline) override {
    Status status = co_await ReceiveChunks(channel_, CONTROL_PATH "StreamData", sink, deadline);
    co_return status;
  }
  io::Task<Status> VerifyBackup(const agent::VerifyBackupRequest& request,
                                port::BackupEvents& events, Deadline deadline) override {
    std::unique_ptr<ClientStream> stream =
        channel_->Stream(CONTROL_PATH "VerifyBackup", request, deadline);
    for (;;) {
      agent::BackupNews news;
      Result<bool> more = co_await stream->Next(news, deadline);
      if (!more) co_return Fail(more.error());
      if (!*more) co_return Status();
      port::BackupEvent event;
      event.text = news.text();
      if (news.has_progress()) event.progress = FromMessage(news.progress());
      Status told = co_await events.Event(event);
      if (!told) co_return told;
    }
  }
#define PACELINE_METHOD(Method)                                                       \
  io::Task<Status> Method(const ::tabletmanagerdata::Method##Request& request,        \
                          port::BackupEvents& events, Deadline deadline) override {   \
    return ReceiveEvents<::tabletmanagerdata::Method##Response>(                      \
        channel_->Stream(MANAGER_PATH #Method, request, deadline), events, deadline); \
  }
  PACELINE_METHOD(Backup)
  PACELINE_METHOD(RestoreFromBackup)
#undef PACELINE_METHOD

 private:
  ChannelPtr channel_;
};

#define PACELINE_METHOD(Method)                                                                  \
  io::Task<Status> Method(ServerCall& call, const ::tabletmanagerdata::Method##Request& request, \
                          port::TabletManager& manager) {                                        \
    EventSender<::tabletmanagerdata::Method##Response> sender(call);                             \
    Status status = co_await manager.Method(request, sender, call.deadline());                   \
    co_return status;                                                                            \
  }
PACELINE_METHOD(Backup)
PACELINE_METHOD(RestoreFromBackup)
#undef PACELINE_METHOD

class NewsSender final : public port::BackupEvents {
 public:
  explicit NewsSender(ServerCall& call) : call_(call) {}
  io::Task<Status> Event(const port::BackupEvent& event) override {
    agent::BackupNews news;
    news.set_text(event.text);
    if (event.progress) ToMessage(*event.progress, news.mutable_progress());
    Status sent = co_await call_.Send(news);
    co_return sent;
  }

 private:
  ServerCall& call_;
};

io::Task<Status> VerifyBackup(ServerCall& call, const agent::VerifyBackupRequest& request,
                              port::TabletManager& manager) {
  NewsSender sender(call);
  Status status = co_await manager.VerifyBackup(request, sender, call.deadline());
  co_return status;
}

io::Task<Status> StreamData(ServerCall& call, port::TabletManager& manager) {
  ChunkSender sender(call);
  Status status = co_await manager.StreamData(sender, call.deadline());
  co_return status;
}

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
  port::TabletManager* target = &manager;
#define PACELINE_METHOD(Method)                                                                    \
  server.Add(loop,                                                                                 \
             StreamHandler<::tabletmanagerdata::Method##Request>(                                  \
                 MANAGER_PATH #Method,                                                             \
                 [target](ServerCall& call, const ::tabletmanagerdata::Method##Request& request) { \
                   return Method(call, request, *target);                                          \
                 }));
  PACELINE_METHOD(Backup)
  PACELINE_METHOD(RestoreFromBackup)
#undef PACELINE_METHOD
  server.Add(loop, StreamHandler<agent::VerifyBackupRequest>(
                       CONTROL_PATH "VerifyBackup",
                       [target](ServerCall& call, const agent::VerifyBackupRequest& request) {
                         return VerifyBackup(call, request, *target);
                       }));
  server.Add(loop, StreamHandler<agent::StreamDataRequest>(
                       CONTROL_PATH "StreamData",
                       [target](ServerCall& call, const agent::StreamDataRequest&) {
                         return StreamData(call, *target);
                       }));
}

std::unique_ptr<port::TabletManager> NewTabletManagerClient(ChannelPtr channel) {
  return std::make_unique<Client>(std::move(channel));
}

}  // namespace paceline::rpc
