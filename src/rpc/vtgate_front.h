// rpc/vtgate_front.h - vtgate's sessions for clients that speak gRPC: port::Vtgate over
// vtgate::Session. The client holds a vtgate.Session message and sends it along; the gate holds the
// live session behind it, found by SessionUUID, which the first answer brings. A live session that
// owns no tablet's connection may be forgotten at any time, since the message is enough to make it
// again, here or in another gate; one in a transaction cannot, so its loss is told as ABORTED.
// Threads: the loop it was given.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "io/sync.h"
#include "port/vtgate.h"
#include "sql/lexer.h"
#include "vtgate/mysql_front.h"
#include "vtgate/session.h"

namespace vtgate {
class Session;
}
namespace vtrpc {
class CallerID;
}  // namespace vtrpc

namespace paceline::rpc {

struct VtgateFrontOptions {
  size_t most_sessions = 10'000;
  Duration idle_timeout = 10min;        // of sessions that own nothing
  Duration transaction_timeout = 30s;   // of those that own a connection: rolled back
  size_t result_bytes_max = 48u << 20;  // of a call that does not stream
  // Who asks, for the tablets' access rules. The principal that a client names by itself proves
  // nothing, so it counts only where `trust_caller_id` is set.
  std::string user = "unsecure_grpc_client";
  bool trust_caller_id = false;
  std::optional<sql::Flavor> flavor;  // none: that of the servers behind
};

class VtgateFront final : public port::Vtgate {
 public:
  // `gate` and `table` outlive it.
  VtgateFront(io::Loop& loop, vtgate::GateContext& gate, vtgate::SessionTable& table,
              VtgateFrontOptions options);
  // REQUIRES: Stop has ended.
  ~VtgateFront() override;

  // From here on idle sessions end. Call once, on the loop.
  void Start();
  // Takes no further calls, waits for those that run until `deadline`, ends them, and rolls back
  // what is open. Shut the rpc::Server down first.
  io::Task<void> Stop(Deadline deadline);
  size_t sessions() const { return sessions_.size(); }

#define PACELINE_METHOD(Method)                                     \
  io::Task<Status> Method(const ::vtgate::Method##Request& request, \
                          ::vtgate::Method##Response& response, Deadline deadline) override;
  PACELINE_VTGATE_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
#define PACELINE_METHOD(Method)                                                                    \
  io::Task<Status> Method(const ::vtgate::Method##Request& request,                                \
                          std::function<io::Task<Status>(const ::vtgate::Method##Response&)> send, \
                          Deadline deadline) override;
  PACELINE_VTGATE_STREAMS(PACELINE_METHOD)
#undef PACELINE_METHOD

 private:
  struct Live;
  using LivePtr = std::shared_ptr<Live>;
  // What a statement is run as.
  enum class Mode : uint8_t { kOne, kMany, kPrepare };

  // The live session of the message, for this call alone until Leave. Errors: what the client shall
  // be told: kAborted where the message's transaction is not here, 1049, kResourceExhausted.
  io::Task<Result<LivePtr>> Enter(const ::vtgate::Session& message, const vtrpc::CallerID& caller,
                                  std::string_view sql, Deadline deadline);
  io::Task<Result<LivePtr>> Find(std::string uuid, Deadline deadline);
  Result<LivePtr> Make(const vtrpc::CallerID& caller);
  // Brings the live session to what the message says.
  static io::Task<Status> Adopt(Live& live, const ::vtgate::Session& message, bool fresh);
  static io::Task<Status> Run(Live& live, std::string_view sql, Mode mode, vtgate::AnswerSink& sink,
                              Deadline deadline);
  // Enter, Run, Leave. Errors: of Enter, or an answer that was cut; the rest is in the sink.
  io::Task<Status> Serve(::vtgate::Session* message, const vtrpc::CallerID& caller,
                         std::string_view sql, Mode mode, vtgate::AnswerSink& sink,
                         Deadline deadline);
  // Ends the call and writes the state. `healthy`: false when the answer was cut.
  io::Task<void> Leave(LivePtr live, bool healthy, ::vtgate::Session* message);
  // In SHOW VITESS_SESSIONS, from here on.
  void Show(const LivePtr& live);
  bool MakeRoom();
  void Forget(Live& live);
  io::Task<void> Sweep(io::Gate::Pass pass);
  io::Task<void> End(LivePtr live, io::Gate::Pass pass);

  io::Loop& loop_;
  vtgate::GateContext& gate_;
  vtgate::SessionTable& table_;
  VtgateFrontOptions options_;
  std::unordered_map<std::string, LivePtr> sessions_;
  std::list<Live*> by_use_;  // the longest unused first
  io::Gate pass_;
};

}  // namespace paceline::rpc
