// rpc/byte_stream.h - io::ByteSink over a gRPC stream of paceline.agent.DataChunk. Only for the .cc
// files of this room.
#pragma once

#include "io/sink.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace paceline::rpc {

// The server's end: what is written goes to the client, as fast as it reads.
class ChunkSender final : public io::ByteSink {
 public:
  explicit ChunkSender(ServerCall& call) : call_(call) {}
  io::Task<Status> Write(std::string_view bytes, Deadline deadline) override;

 private:
  ServerCall& call_;
};

// The client's end: all that `method` streams goes into `sink`. While nothing comes the sink gets
// an empty write each second, so that it can end the call.
io::Task<Status> ReceiveChunks(ChannelPtr channel, const char* method, io::ByteSink& sink,
                               Deadline deadline);

}  // namespace paceline::rpc
