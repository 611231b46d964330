// rpc/server.h - a gRPC server that runs methods as coroutines on our loops. A service is a list of
// MethodSpecs; the adapters of this room (tablet_manager.h and so on) make them. Bytes move on
// gRPC's threads, handlers run on their loop.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "access/guard.h"
#include "base/error.h"
#include "base/time.h"
#include "io/loop.h"
#include "io/task.h"

namespace google::protobuf {
class MessageLite;
}

namespace paceline::rpc {

using google::protobuf::MessageLite;

// A call being served. Threads: the method's loop. Lives as long as its handler runs, also when the
// client has gone.
class ServerCall {
 public:
  virtual ~ServerCall() = default;
  // The client's, or for a unary call without one ServerOptions::longest_call.
  virtual Deadline deadline() const = 0;
  // "ipv4:127.0.0.1:40312"
  virtual const std::string& peer() const = 0;
  // The client cancelled, went away, or its deadline passed: nobody reads what the handler still
  // sends.
  virtual bool canceled() const = 0;
  // Called at most once, at once when already canceled.
  virtual void OnCancel(std::function<void()> handler) = 0;
  // Streams: queues one message and waits while the client is slow (kStreamQueueBytes). Errors:
  // kCanceled when the client has gone, kDeadlineExceeded.
  virtual io::Task<Status> Send(const MessageLite& message) = 0;
  // Streams: the same without waiting; false when the queue is full or the client has gone.
  virtual bool TrySend(const MessageLite& message) = 0;
  // Waits until the call is canceled or the deadline passes.
  virtual io::Task<void> WaitCanceled() = 0;
};

inline constexpr size_t kStreamQueueBytes = 256 * 1024;

struct MethodSpec {
  std::string path;  // "/tabletmanagerservice.TabletManager/Ping"
  // Default instances; `response` is null for a stream of answers.
  const MessageLite* request = nullptr;
  const MessageLite* response = nullptr;
  // One of both. What they are given lives until their task ends; whatever they return is what the
  // client gets, unless it has gone. A handler must end soon after the call's deadline or
  // cancellation.
  std::function<io::Task<Status>(ServerCall&, const MessageLite& request, MessageLite& response)>
      unary;
  std::function<io::Task<Status>(ServerCall&, const MessageLite& request)> stream;
};

struct ServerOptions {
  std::string address;  // "127.0.0.1:15999", ":15999"; port 0 takes a free one
  // PEM files. Both empty: no TLS. With client_ca_file, clients must show a certificate it signed.
  std::string cert_file, key_file, client_ca_file;
  size_t message_bytes_max = 64u << 20;
  Duration longest_call = std::chrono::hours(1);
  // Who may call what; null: everybody. `describe` says what a call asks for.
  std::shared_ptr<access::Guard> guard;
  std::function<access::Request(const std::string& path, const MessageLite& request)> describe;
};

// Threads: Add and Start before any call; the rest any thread. What handlers use must outlive
// Shutdown.
class Server {
 public:
  Server();
  // REQUIRES: never started, or shut down.
  ~Server();
  Server(const Server&) = delete;

  // REQUIRES: not started; the path is new. The handlers run on `loop`, which must run until
  // Shutdown has ended.
  void Add(io::Loop& loop, MethodSpec method);
  // Errors: kAlreadyExists when the address is taken, naming it; kInvalidArgument for unreadable
  // certificates.
  Status Start(const ServerOptions& options);
  uint16_t port() const;

  // Takes nothing new, lets what runs end until `deadline`, cancels the rest and waits `kGrace` for
  // their handlers. Errors: kDeadlineExceeded when handlers still run: what they use must not be
  // destroyed.
  io::Task<Status> Shutdown(Deadline deadline);
  // The same for a thread that is no loop of these handlers.
  Status ShutdownBlocking(Deadline deadline);
  static constexpr Duration kGrace = std::chrono::seconds(5);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace paceline::rpc
