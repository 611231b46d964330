// rpc/testing.h - a server on a loop of its own thread and a client loop on the test's, for this
// room's tests.
#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "io/blocking.h"
#include "io/loop.h"
#include "rpc/channel.h"
#include "rpc/server.h"

namespace paceline::rpc {

class Pair {
 public:
  Pair() : thread_([this] { server_loop.Run(); }) {}
  ~Pair() {
    if (channel_) Await(channel_->Close());
    EXPECT_TRUE(server.ShutdownBlocking(Deadline::In(0s)));
    server_loop.Stop();
    thread_.join();
  }
  // After the services have been added.
  void Start() {
    ServerOptions options;
    options.address = "127.0.0.1:0";
    Status started = server.Start(options);
    ASSERT_TRUE(started) << started.error().message();
  }
  ChannelPtr channel() {
    if (!channel_) {
      std::string address = fmt::format("127.0.0.1:{}", server.port());
      Result<ChannelPtr> opened = Channel::Open(client_loop, address, ChannelOptions());
      EXPECT_TRUE(opened);
      channel_ = *opened;
    }
    return channel_;
  }
  template <class T>
  T Await(io::Task<T> task) {
    return io::RunUntilDone(client_loop, std::move(task));
  }
  void Await(io::Task<void> task) { io::RunUntilDone(client_loop, Wrap(std::move(task))); }

  io::Loop server_loop, client_loop;
  Server server;

 private:
  static io::Task<bool> Wrap(io::Task<void> task) {
    co_await task;
    co_return true;
  }
  ChannelPtr channel_;
  std::thread thread_;
};

}  // namespace paceline::rpc
