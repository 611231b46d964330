// rpc/channel.h - the client's end of gRPC: calls by method name with protobuf messages, awaited on
// the channel's loop. The connection is made with the first call and again after each loss (100 ms
// to 1 s between attempts).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/task.h"

namespace google::protobuf {
class MessageLite;
}

namespace paceline::rpc {

using google::protobuf::MessageLite;

struct ChannelOptions {
  // PEM files. tls: verify the server with ca_file (empty: the system's roots); cert and key for
  // servers that ask.
  bool tls = false;
  std::string ca_file, cert_file, key_file;
  std::string
      server_name;  // the name in the server's certificate where it is not the address's host
  size_t message_bytes_max = 64u << 20;
  // Sent with each call: credentials. Names in lower case.
  std::vector<std::pair<std::string, std::string>> metadata;
};

// A running stream of answers. Threads: the channel's loop. Destroying it cancels what still runs.
class ClientStream {
 public:
  virtual ~ClientStream() = default;
  // Fills `message` and returns true; false: the server ended the stream well. Errors: the
  // server's, kUnavailable when the connection broke, kDeadlineExceeded when nothing came until
  // `deadline` (the stream goes on).
  virtual io::Task<Result<bool>> Next(MessageLite& message, Deadline deadline) = 0;
  // Next ends with kCanceled once what had come is read.
  virtual void Cancel() = 0;
};

// Threads: one loop, which is the one `Open` was given. Lifetime: Close before the last reference
// goes when calls run.
class Channel {
 public:
  // Does not connect. Errors: kInvalidArgument for unreadable certificates.
  static Result<std::shared_ptr<Channel>> Open(io::Loop& loop, std::string address,
                                               const ChannelOptions& options);
  virtual ~Channel() = default;

  // `method` is a whole path, "/tabletmanagerservice.TabletManager/Ping", and must be static.
  // Errors: the server's; kUnavailable naming the address at once when it cannot be reached, and
  // when the connection breaks (the server may have run the call); kDeadlineExceeded; kCanceled
  // after Close.
  virtual io::Task<Status> Unary(const char* method, const MessageLite& request,
                                 MessageLite& response, Deadline deadline) = 0;
  // The same, cancellable: the function behind `cancel` becomes callable, on this loop, until the
  // call ends.
  virtual io::Task<Status> Unary(const char* method, const MessageLite& request,
                                 MessageLite& response, Deadline deadline,
                                 std::function<void()>* cancel) = 0;
  // `deadline` bounds the whole stream.
  virtual std::unique_ptr<ClientStream> Stream(const char* method, const MessageLite& request,
                                               Deadline deadline) = 0;

  // Cancels what runs, waits for its end, refuses what comes.
  virtual io::Task<void> Close() = 0;
  virtual const std::string& address() const = 0;
};
using ChannelPtr = std::shared_ptr<Channel>;

}  // namespace paceline::rpc
