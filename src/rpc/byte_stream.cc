#include "rpc/byte_stream.h"

#include "paceline_agent.pb.h"

namespace paceline::rpc {

io::Task<Status> ChunkSender::Write(std::string_view bytes, Deadline) {
  constexpr size_t kChunkBytes = 128 << 10;
  for (size_t at = 0; at < bytes.size(); at += kChunkBytes) {
    agent::DataChunk chunk;
    chunk.set_data(std::string(bytes.substr(at, kChunkBytes)));
    Status sent = co_await call_.Send(chunk);
    if (!sent) co_return sent;
  }
  if (call_.canceled()) co_return Fail(Code::kCanceled, "the receiver has gone");
  co_return Status();
}

io::Task<Status> ReceiveChunks(ChannelPtr channel, const char* method, io::ByteSink& sink,
                               Deadline deadline) {
  agent::StreamDataRequest request;
  std::unique_ptr<ClientStream> stream = channel->Stream(method, request, deadline);
  io::Loop& loop = io::Loop::Current();
  for (;;) {
    agent::DataChunk chunk;
    Deadline turn = Deadline::In(1s).EarlierOf(deadline);
    Result<bool> more = co_await stream->Next(chunk, turn);
    bool nothing_came = !more && more.error().code() == Code::kDeadlineExceeded;
    if (nothing_came && deadline.Passed(loop.Now())) co_return Fail(more.error());
    if (!more && !nothing_came) co_return Fail(more.error());
    if (more && !*more) co_return Status();
    Status written = co_await sink.Write(chunk.data(), deadline);
    if (!written) co_return written;
  }
}

}  // namespace paceline::rpc
