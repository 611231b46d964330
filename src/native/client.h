// native/client.h - the gate's end: a QueryService over one connection to one tablet, which all
// calls of a loop share. Reconnecting is the owner's business: once broken, a Client stays so.
// Calls under way end kUnavailable, those whose request surely never left end kClusterEvent, as
// does every later one. Threads: the loop it was connected on. Lifetime: Close() before destroying.
#pragma once

#include <coroutine>
#include <memory>
#include <optional>
#include <string>
#include <unordered_set>
#include <vector>

#include "io/loop.h"
#include "io/stream.h"
#include "io/sync.h"
#include "io/tls.h"
#include "native/link.h"
#include "native/message.h"
#include "port/query_service.h"

namespace paceline::native {

struct ClientOptions {
  io::Address address;         // TCP
  std::string unix_path;       // tried first when it exists; empty: what the tablet's HELLO names
  record::TabletAlias tablet;  // whom to expect; empty: whoever answers
  std::string program = "vtgate";
  std::shared_ptr<io::TlsContext> tls;  // for TCP, see ServerOptions; null: none
  size_t max_calls = 16384;
};

class Client final : public port::QueryService, private Link::Handler {
 public:
  // Errors: kUnavailable naming the address, kDeadlineExceeded, kFailedPrecondition for another
  // tablet or version.
  static io::Task<Result<std::unique_ptr<Client>>> Connect(ClientOptions options,
                                                           Deadline deadline);
  ~Client() override;

  io::Task<Result<port::QueryEnd>> Execute(const port::QueryRequest& request,
                                           port::ResultSink& sink, Deadline deadline) override;
  io::Task<Status> Release(record::Target target, uint64_t pinned_id, Deadline deadline) override;
  io::Task<Result<std::vector<port::AttemptOutcome>>> Resolve(
      record::Target target, std::vector<port::AttemptQuestion> questions,
      Deadline deadline) override;
  io::Task<Status> StreamHealth(port::HealthSink& sink, Deadline deadline) override;
  io::Task<void> Close() override;
  io::Task<Status> Ping(Deadline deadline);

  // Empty while usable; else why not. `broken_event` is set when it becomes so, or the tablet says
  // GOAWAY.
  const std::optional<Error>& broken() const { return broken_; }
  io::Event& broken_event() { return broken_event_; }
  const Hello& peer() const { return peer_; }
  bool over_unix() const { return over_unix_; }
  size_t calls_running() const { return calls_.size() - free_.size(); }

 private:
  struct Call;
  class CallWait;

  Client(ClientOptions options, io::StreamPtr stream, bool over_unix);
  static io::Task<Result<std::unique_ptr<Client>>> ConnectTo(ClientOptions options, io::Address to,
                                                             Deadline deadline);
  io::Task<Status> Handshake(Deadline deadline);
  static io::Task<void> ReadLoop(Client* self);

  Status OnPiece(const FrameSplitter::Piece& piece) override;
  void OnBatchEnd() override {}
  Status OnHello(const FrameSplitter::Piece& piece);
  Status OnData(Call& call, const FrameSplitter::Piece& piece);
  Status OnEnd(Call& call, const FrameSplitter::Piece& piece);
  Status OnPrepared(Call& call, std::string_view payload);
  void Break(Error why);
  bool usable() const { return !closing_ && !broken_ && !link_.broken(); }
  Error Unusable() const;
  io::Task<Status> RunSimple(Call& call, Deadline deadline);

  Call* TakeCall();
  void Finish(Call& call, std::optional<Error> error);
  // Gives the slot back, or leaves it to the answer still to come, after a CANCEL.
  void Leave(Call& call);
  void SendSettings(const port::SettingsPtr& settings);
  io::Task<Status> SendQuery(Call& call, const port::QueryRequest& request, Deadline deadline);
  io::Task<Status> WaitEnd(Call& call, Deadline deadline);
  void Grant(Call& call);

  io::Loop& loop_;
  ClientOptions options_;
  Link link_;
  bool over_unix_;
  bool greeted_ = false;
  bool closing_ = false;
  bool lost_ =
      false;  // the link has ended; broken_ alone may be a GOAWAY, under which calls still end
  Deadline read_deadline_ = Deadline::Never();
  Hello peer_;
  std::optional<Error> broken_;
  io::Event broken_event_;
  io::Event greeted_event_;
  std::vector<std::unique_ptr<Call>> calls_;
  std::vector<Call*> free_;
  std::unordered_set<uint64_t> settings_sent_;
  uint64_t last_settings_ = 0;
  mysql::wire::Terminator end_;  // reused, for its texts' capacity
  std::string encoded_;
  io::Gate gate_;
};

}  // namespace paceline::native
