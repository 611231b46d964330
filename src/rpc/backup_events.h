// rpc/backup_events.h - port::BackupEvents over gRPC streams of the contract's BackupResponse and
// RestoreFromBackupResponse, whose fields are the same. How far it is travels beside them, as a
// field that the contract does not have and others skip. Only for the .cc files of this room.
#pragma once

#include "logutil.pb.h"
#include "paceline_agent.pb.h"
#include "port/backup_event.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace paceline::rpc {

void FillEvent(const std::string& text, logutil::Event* event);
void AttachProgress(const std::optional<port::TransferProgress>& progress,
                    google::protobuf::Message* response);
std::optional<port::TransferProgress> AttachedProgress(const google::protobuf::Message& response);
void ToMessage(const port::TransferProgress& progress, agent::TransferProgress* out);
port::TransferProgress FromMessage(const agent::TransferProgress& message);

// The server's end. vtctld's responses name the tablet, the tablet's own do not.
template <class Response>
class EventSender final : public port::BackupEvents {
 public:
  explicit EventSender(ServerCall& call) : call_(call) {}
  io::Task<Status> Event(const port::BackupEvent& event) override {
    Response response;
    FillEvent(event.text, response.mutable_event());
    AttachProgress(event.progress, &response);
    if constexpr (requires { response.mutable_tablet_alias(); }) {
      response.mutable_tablet_alias()->set_cell(event.tablet.cell);
      response.mutable_tablet_alias()->set_uid(event.tablet.uid);
      response.set_keyspace(event.keyspace);
      response.set_shard(event.shard);
    }
    Status sent = co_await call_.Send(response);
    co_return sent;
  }

 private:
  ServerCall& call_;
};

// The client's end.
template <class Response>
io::Task<Status> ReceiveEvents(std::unique_ptr<ClientStream> stream, port::BackupEvents& events,
                               Deadline deadline) {
  for (;;) {
    Response response;
    Result<bool> more = co_await stream->Next(response, deadline);
    if (!more) co_return Fail(more.error());
    if (!*more) co_return Status();
    port::BackupEvent event;
    event.text = response.event().value();
    event.progress = AttachedProgress(response);
    if constexpr (requires { response.tablet_alias(); }) {
      event.tablet = {response.tablet_alias().cell(), response.tablet_alias().uid()};
      event.keyspace = response.keyspace();
      event.shard = response.shard();
    }
    Status told = co_await events.Event(event);
    if (!told) co_return told;
  }
}

}  // namespace paceline::rpc
