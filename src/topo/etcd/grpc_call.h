// topo/etcd/grpc_call.h - what client.cc and admin.cc share: channels to etcd servers and calls
// whose end is posted to the loop. For those two only.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "topo/etcd/etcd_conn.h"
#include "topo/pending.h"

namespace paceline::topo::etcd {

// Calls that gRPC still holds, and the thread that is about to leave our code.
using Counter = std::shared_ptr<std::atomic<int>>;

template <class Response>
struct Call {
  explicit Call(io::Loop& loop) : pending(std::make_shared<Pending<grpc::Status>>(loop)) {}
  grpc::ClientContext context;
  Response response;
  std::shared_ptr<Pending<grpc::Status>> pending;
};

struct EndpointChannel {
  std::string address;
  std::shared_ptr<grpc::Channel> channel;
};
// One for each endpoint, none of them connected yet. Errors: kInvalidArgument.
Result<std::vector<EndpointChannel>> MakeChannels(const EtcdOptions& options);
void SetDeadline(grpc::ClientContext& context, Duration left);
// The call has had no answer, or one that another server might not give.
bool WorthAnotherEndpoint(const grpc::Status& status);
Error ToError(const grpc::Status& status, const std::string& endpoint);
// Waits until gRPC has let go of all that `held` counts.
io::Task<void> WaitForNone(io::Loop& loop, Counter held);

}  // namespace paceline::topo::etcd
