// console/console.h - the web console: its pages, its JSON API under /api/ (README.md) and the
// stream of news, served by vtctld from its own binary. Threads: the server's loop, which is the
// topology's. Lifetime: the server is stopped and Stop has ended before it is destroyed; what it
// was given outlives it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "access/guard.h"
#include "base/rng.h"
#include "console/actions.h"
#include "console/live.h"
#include "console/operations.h"
#include "io/stream.h"
#include "vtctld/vtctld.h"
#include "web/server.h"

namespace paceline::console {

struct ConsoleOptions {
  // Web addresses of vtorcs and vtgates, "host:port"; what they tell is shown beside the rest.
  std::vector<std::string> vtorcs, vtgates;
  std::string cell;
  std::shared_ptr<access::Guard> guard;  // knows who may do what; REQUIRED
  LiveOptions live;
  size_t actions_at_once = 16;
};

class Console {
 public:
  Console(web::Server& server, topo::Server& topo, vtctld::Vtctld& vtctld, health::Dialer& dialer,
          Rng& rng, ConsoleOptions options);
  ~Console();
  // Adds the routes and begins to watch. Errors: kInvalidArgument naming an address.
  Status Start();
  io::Task<void> Stop();

  Live& live() { return live_; }

 private:
  using Answer = io::Task<Result<web::Response>> (Console::*)(web::Request request);
  // Whom the server's doorway lets in; a POST is JSON and checks by itself what its action needs.
  void Get(const std::string& path, Answer answer);
  void Post(const std::string& path, Answer answer);
  static io::Task<void> Run(Console& self, Answer answer, web::Request request,
                            web::Completion done);
  void AddFiles();

  io::Task<Result<web::Response>> GetState(web::Request request);
  io::Task<Result<web::Response>> GetEvents(web::Request request);
  io::Task<Result<web::Response>> GetMe(web::Request request);
  io::Task<Result<web::Response>> GetTablet(web::Request request);
  io::Task<Result<web::Response>> GetSchema(web::Request request);
  io::Task<Result<web::Response>> GetVSchema(web::Request request);
  io::Task<Result<web::Response>> GetTopology(web::Request request);
  io::Task<Result<web::Response>> GetBackups(web::Request request);
  io::Task<Result<web::Response>> GetArchive(web::Request request);
  io::Task<Result<web::Response>> GetVtorcs(web::Request request);
  io::Task<Result<web::Response>> GetVtgates(web::Request request);
  io::Task<Result<web::Response>> GetOperations(web::Request request);
  io::Task<Result<web::Response>> GetOperation(web::Request request);
  io::Task<Result<web::Response>> PostPlan(web::Request request);
  io::Task<Result<web::Response>> PostRun(web::Request request);

  struct Asked;
  Result<Asked> ReadAction(const web::Request& request) const;
  // REQUIRES: `words` begin with the command's name. Errors: the command's.
  io::Task<Status> RunWords(std::vector<std::string> words, port::CommandOutput& output,
                            Duration limit, bool json);
  // What a command prints. Errors: the command's.
  io::Task<Result<std::string>> Command(std::vector<std::string> words, Duration limit,
                                        bool json = false);
  io::Task<Result<Live::Positions>> PositionsOf(record::KeyspaceShard shard);
  // A command's JSON about what the query's `parameter` names; that is its last word.
  io::Task<Result<web::Response>> CommandOn(web::Request request, std::string_view parameter,
                                            std::vector<std::string> words, bool json);
  static io::Task<void> RunAction(Console& self, int64_t id, Asked asked);
  World Now() const;

  web::Server& server_;
  topo::Server& topo_;
  vtctld::Vtctld& vtctld_;
  ConsoleOptions options_;
  std::vector<io::Address> vtorcs_, vtgates_;
  Live live_;
  Operations operations_;
  io::Gate gate_;
};

}  // namespace paceline::console
