// native/session.h - one client's connection at the tablet: its calls, their credit, its pinned
// connections. Threads: its loop's. Internal to the room.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "io/loop.h"
#include "io/sync.h"
#include "native/link.h"
#include "native/message.h"
#include "native/server.h"
#include "port/query_service.h"

namespace paceline::native {

class Session final : private Link::Handler {
 public:
  Session(io::StreamPtr stream, port::QueryService& service, const ServerOptions& options,
          const Hello& hello);
  ~Session() override;

  // Until the connection ends and all its calls have. Answers why it ended.
  io::Task<Status> Run();
  void GoAway(std::string_view why);
  void Shutdown();

 private:
  class Call;

  Status OnPiece(const FrameSplitter::Piece& piece) override;
  void OnBatchEnd() override;
  Status OnHello(const FrameSplitter::Piece& piece);
  Status OnQuery(const FrameSplitter::Piece& piece);
  Status OnQueryPart(const FrameSplitter::Piece& piece);
  // Decodes call.body once it is complete; the call starts at the end of the batch.
  Status Prepare(Call& call);
  Call* Find(uint32_t request);
  Status CheckNumber(uint32_t request);
  Result<Call*> Begin(uint32_t request);
  // A request that has no statement and no rows: RELEASE, RESOLVE, WATCH_HEALTH.
  Status BeginSimple(uint32_t request);
  void Free(Call* call);
  void Refuse(uint32_t request, const Error& error);

  static io::Task<void> RunQuery(Session* self, Call* call);
  static io::Task<void> RunRelease(Session* self, uint32_t request, record::Target target,
                                   uint64_t pinned_id, Deadline deadline);
  static io::Task<void> RunResolve(Session* self, uint32_t request, record::Target target,
                                   std::vector<port::AttemptQuestion> questions, Deadline deadline);
  static io::Task<void> RunHealth(Session* self, uint32_t request);
  io::Task<void> ReleasePinned();

  io::Loop& loop_;
  port::QueryService& service_;
  const ServerOptions& options_;
  const Hello& hello_;
  Link link_;
  bool greeted_ = false;
  bool ended_ = false;
  Deadline read_deadline_;
  std::string peer_program_;
  std::vector<Call*> calls_;  // by request number
  std::vector<std::unique_ptr<Call>> owned_;
  std::vector<Call*> free_;
  std::vector<Call*> starting_;
  std::unordered_set<uint32_t> simple_;  // numbers of requests without a Call
  size_t gathered_ = 0;                  // bytes of statements still arriving
  std::unordered_map<uint64_t, port::SettingsPtr> settings_;
  // The last ones seen, still encoded and decoded: nearly all calls of a connection share them.
  std::string target_bytes_;
  record::Target target_;
  std::unordered_map<uint64_t, record::Target> pinned_;
  struct HealthStream;
  std::map<uint32_t, HealthStream*> health_;
  io::Gate gate_;
};

}  // namespace paceline::native
