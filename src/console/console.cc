#include "console/console.h"

#include <nlohmann/json.hpp>

#include "access/users.h"
#include "base/log.h"
#include "base/strings.h"
#include "console/remote.h"
#include "vtctld/command/command.h"

namespace paceline::console {

using Json = nlohmann::json;
using access::Role;

namespace {

constexpr Duration kReadLimit = 20s;  // below the server's own limit, so that the reason is told

web::Response Answer(const Json& json) {
  return web::JsonResponse(json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

web::Response Refused(const Error& error) {
  web::Response response = web::ErrorResponse(error);
  const int status = response.status;
  response = Answer({{"error", error.ToString()}});
  response.status = status;
  return response;
}

Result<std::string> Needed(const web::Request& request, std::string_view name) {
  const std::string_view value = request.Query(name);
  if (value.empty()) return Fail(Code::kInvalidArgument, "?{}= is missing", name);
  // A command would take it for one of its flags.
  if (value[0] == '-') return Fail(Code::kInvalidArgument, "?{}={} begins with -", name, value);
  return std::string(value);
}

// Gathers what a command prints.
class Gathered final : public port::CommandOutput {
 public:
  void Print(std::string_view text) override { text_ += text; }
  void Log(std::string_view) override {}
  std::string text_;
};

// Hands each line to an operation as it comes.
class OperationOutput final : public port::CommandOutput {
 public:
  OperationOutput(Operations& operations, int64_t id) : operations_(operations), id_(id) {}
  void Print(std::string_view text) override { operations_.Add(id_, text); }
  void Log(std::string_view line) override { operations_.Add(id_, line); }

 private:
  Operations& operations_;
  const int64_t id_;
};

}  // namespace

struct Console::Asked {
  std::string action;
  Plan plan;
  // Under the command's name, as the same from vtctldclient.
  access::Request request;
  access::Caller caller;

  std::string Command() const { return "vtctldclient " + CommandText(plan.words); }
};

Console::Console(web::Server& server, topo::Server& topo, vtctld::Vtctld& vtctld,
                 health::Dialer& dialer, Rng& rng, ConsoleOptions options)
    : server_(server),
      topo_(topo),
      vtctld_(vtctld),
      options_(std::move(options)),
      live_(
          server.loop(), topo, dialer, rng,
          [this](record::KeyspaceShard shard) { return PositionsOf(std::move(shard)); },
          options_.live),
      operations_(
          [this](const Operation& operation) { live_.Publish("operation", Summary(operation)); }) {}

Console::~Console() = default;

Status Console::Start() {
  for (const auto& [texts, addresses] :
       {std::pair(&options_.vtorcs, &vtorcs_), std::pair(&options_.vtgates, &vtgates_)}) {
    for (const std::string& text : *texts) {
      Result<io::Address> address = io::ParseAddress(text);
      if (!address) return Fail(address.error());
      addresses->push_back(*address);
    }
  }
  AddFiles();
  Get("/api/state", &Console::GetState);
  Get("/api/events", &Console::GetEvents);
  Get("/api/me", &Console::GetMe);
  Get("/api/tablet", &Console::GetTablet);
  Get("/api/schema", &Console::GetSchema);
  Get("/api/vschema", &Console::GetVSchema);
  Get("/api/topology", &Console::GetTopology);
  Get("/api/backups", &Console::GetBackups);
  Get("/api/archive", &Console::GetArchive);
  Get("/api/vtorcs", &Console::GetVtorcs);
  Get("/api/vtgates", &Console::GetVtgates);
  Get("/api/operations", &Console::GetOperations);
  Get("/api/operations/", &Console::GetOperation);
  Post("/api/plan", &Console::PostPlan);
  Post("/api/run", &Console::PostRun);
  live_.Start();
  return {};
}

io::Task<void> Console::Stop() {
  co_await live_.Stop();
  // Actions go on to their end where that is near: half a reparent is worse than a late stop.
  bool left = co_await gate_.Close(Deadline::In(10s));
  if (!left) LOG_WARNING("{} actions of the console are left in the middle", gate_.count());
}

void Console::Get(const std::string& path, Answer answer) {
  server_.Route(path, [this, answer](const web::Request& request, web::Completion done) {
    io::Detach(Run(*this, answer, request, std::move(done)));
  });
}

void Console::Post(const std::string& path, Answer answer) {
  server_.RoutePost(path, [this, answer](const web::Request& request, web::Completion done) {
    // A form of another site cannot send JSON.
    if (!StartsWithIgnoreCase(request.Header("content-type"), "application/json")) {
      return done(
          Refused(Fail(Code::kPermissionDenied, "send Content-Type: application/json").error()));
    }
    io::Detach(Run(*this, answer, request, std::move(done)));
  });
}

io::Task<void> Console::Run(Console& self, Answer answer, web::Request request,
                            web::Completion done) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) {
    done(web::TextResponse(503, "stopping\n"));
    co_return;
  }
  Result<web::Response> response = co_await (self.*answer)(std::move(request));
  if (response) {
    done(std::move(*response));
    co_return;
  }
  web::Response refused = Refused(response.error());
  refused.audited = response.error().code() == Code::kPermissionDenied;  // the guard's own words
  done(std::move(refused));
}

io::Task<Result<web::Response>> Console::GetState(web::Request) {
  co_return console::Answer(live_.Snapshot());
}

io::Task<Result<web::Response>> Console::GetEvents(web::Request) {
  auto events = std::make_shared<web::EventStream>();
  Status listening = live_.Listen(events);
  if (!listening) co_return Fail(listening.error());
  co_return web::EventsResponse(std::move(events));
}

io::Task<Result<web::Response>> Console::GetMe(web::Request request) {
  Json roles = Json::array();
  for (const Role role : {Role::kViewer, Role::kOperator, Role::kAdmin}) {
    if (role <= request.caller.role) roles.push_back(access::RoleName(role));
  }
  Json actions = Json::object();
  for (const auto& [action, role] : ActionRoles()) actions[action] = access::RoleName(role);
  co_return console::Answer({{"name", request.caller.name},
                             {"roles", roles},
                             {"actions", actions},
                             {"cell", options_.cell},
                             {"vtorcs", options_.vtorcs},
                             {"vtgates", options_.vtgates}});
}

io::Task<Status> Console::RunWords(std::vector<std::string> words, port::CommandOutput& output,
                                   Duration limit, bool json) {
  vtctld::Call call{vtctld_, output, Deadline::In(limit), {}};
  call.local = &vtctld_;
  call.json = json;
  call.words.assign(words.begin() + 1, words.end());
  Status done = co_await vtctld::RunCommand(words[0], call);
  co_return done;
}

io::Task<Result<std::string>> Console::Command(std::vector<std::string> words, Duration limit,
                                               bool json) {
  Gathered output;
  Status done = co_await RunWords(std::move(words), output, limit, json);
  if (!done) co_return Fail(done.error());
  co_return std::move(output.text_);
}

io::Task<Result<Live::Positions>> Console::PositionsOf(record::KeyspaceShard shard) {
  std::vector<std::string> words = {"ShardReplicationPositions", shard.ToString()};
  Result<std::string> text = co_await Command(std::move(words), 3s, true);
  if (!text) co_return Fail(text.error());
  const Json answer = Json::parse(*text, nullptr, false);
  Live::Positions positions;
  if (answer.is_object() && answer.contains("replication_statuses")) {
    for (const auto& [name, status] : answer["replication_statuses"].items()) {
      Result<record::TabletAlias> alias = record::ParseTabletAlias(name);
      if (alias && status.is_object()) positions[*alias] = status.value("position", "");
    }
  }
  co_return positions;
}

io::Task<Result<web::Response>> Console::CommandOn(web::Request request, std::string_view parameter,
                                                   std::vector<std::string> words, bool json) {
  Result<std::string> subject = Needed(request, parameter);
  if (!subject) co_return Fail(subject.error());
  words.push_back(std::move(*subject));
  Result<std::string> text = co_await Command(std::move(words), kReadLimit, json);
  if (!text) co_return Fail(text.error());
  co_return web::JsonResponse(std::move(*text));
}

io::Task<Result<web::Response>> Console::GetTablet(web::Request request) {
  Result<std::string> alias = Needed(request, "alias");
  if (!alias) co_return Fail(alias.error());
  Json answer = Json::object();
  std::vector<std::string> words = {"GetTablet", *alias};
  Result<std::string> record = co_await Command(words, kReadLimit);
  if (!record) co_return Fail(record.error());
  answer["record"] = Json::parse(*record, nullptr, false);
  words = {"GetFullStatus", *alias};
  Result<std::string> status = co_await Command(words, 5s);
  if (status) {
    answer["status"] = Json::parse(*status, nullptr, false);
  } else {
    answer["error"] = status.error().ToString();
  }
  co_return console::Answer(answer);
}

io::Task<Result<web::Response>> Console::GetSchema(web::Request request) {
  std::vector<std::string> words = {"GetSchema", "--include-views"};
  Result<web::Response> answer =
      co_await CommandOn(std::move(request), "tablet", std::move(words), false);
  co_return answer;
}

io::Task<Result<web::Response>> Console::GetVSchema(web::Request request) {
  std::vector<std::string> words = {"GetVSchema"};
  Result<web::Response> answer =
      co_await CommandOn(std::move(request), "keyspace", std::move(words), false);
  co_return answer;
}

io::Task<Result<web::Response>> Console::GetTopology(web::Request request) {
  std::string path(request.Query("path"));
  if (path.empty()) path = "/";
  auto node = co_await topo_.GetTopologyPath(path, topo::Display::kJson, Deadline::In(kReadLimit));
  if (!node) co_return Fail(node.error());
  co_return console::Answer({{"name", node->name},
                             {"path", path},
                             {"data", node->data},
                             {"children", node->children},
                             {"version", node->version.number}});
}

io::Task<Result<web::Response>> Console::GetBackups(web::Request request) {
  std::vector<std::string> words = {"GetBackups", "--json"};
  Result<web::Response> answer =
      co_await CommandOn(std::move(request), "shard", std::move(words), false);
  co_return answer;
}

io::Task<Result<web::Response>> Console::GetArchive(web::Request request) {
  std::vector<std::string> words = {"GetArchive"};
  Result<web::Response> answer =
      co_await CommandOn(std::move(request), "shard", std::move(words), true);
  co_return answer;
}

io::Task<Result<web::Response>> Console::GetVtorcs(web::Request request) {
  static const std::vector<std::string> kPaths = {"/api/problems", "/api/recoveries",
                                                  "/api/timeline"};
  // They know the same users.
  std::string authorization(request.Header("authorization"));
  Json all = co_await AskAll(vtorcs_, kPaths, std::move(authorization), Deadline::In(3s));
  co_return console::Answer({{"vtorcs", std::move(all)}});
}

io::Task<Result<web::Response>> Console::GetVtgates(web::Request) {
  static const std::vector<std::string> kPaths = {"/debug/sessions", "/debug/buffer",
                                                  "/debug/query_stats"};
  Json all = co_await AskAll(vtgates_, kPaths, std::string(), Deadline::In(3s));
  co_return console::Answer({{"vtgates", std::move(all)}});
}

io::Task<Result<web::Response>> Console::GetOperations(web::Request) {
  Json list = Json::array();
  for (const Operation& operation : operations_.list()) list.push_back(Summary(operation));
  co_return console::Answer({{"operations", std::move(list)}});
}

io::Task<Result<web::Response>> Console::GetOperation(web::Request request) {
  const std::string_view text = std::string_view(request.path).substr(request.path.rfind('/') + 1);
  const std::optional<uint64_t> id = ParseUint(text);
  const Operation* operation = id ? operations_.Find(static_cast<int64_t>(*id)) : nullptr;
  if (operation == nullptr) co_return Fail(Code::kNotFound, "there is no operation {}", text);
  if (operation->needs == Role::kAdmin && request.caller.role < Role::kAdmin) {
    co_return Fail(Code::kPermissionDenied,
                   "operation {} ran an admin's statement: what it said is shown to admins", text);
  }
  co_return console::Answer(ToJson(*operation));
}

World Console::Now() const { return {live_.Tablets(), live_.shards()}; }

Result<Console::Asked> Console::ReadAction(const web::Request& request) const {
  const Json body = Json::parse(request.body, nullptr, false);
  if (!body.is_object() || !body.contains("action") || !body["action"].is_string()) {
    return Fail(Code::kInvalidArgument,
                R"(the body must be {{"action": "...", "arguments": {{...}}}})");
  }
  Asked asked;
  asked.action = body["action"];
  const Json arguments = body.value("arguments", Json::object());
  ASSIGN_OR_RETURN(asked.plan, MakePlan(Now(), asked.action, arguments));
  asked.request.action = asked.plan.words[0];
  asked.request.target = asked.plan.target;
  asked.request.needs = RoleOf(asked.action);
  asked.request.peer = request.peer;
  asked.request.authorization = request.Header("authorization");
  ASSIGN_OR_RETURN(asked.caller, options_.guard->Admit(asked.request));
  return asked;
}

io::Task<Result<web::Response>> Console::PostPlan(web::Request request) {
  Result<Asked> asked = ReadAction(request);
  if (!asked) co_return Fail(asked.error());
  const Plan& plan = asked->plan;
  co_return console::Answer({{"target", plan.target},
                             {"steps", plan.steps},
                             {"warnings", plan.warnings},
                             {"refused", plan.refused},
                             {"confirm", plan.confirm},
                             {"command", asked->Command()}});
}

io::Task<Result<web::Response>> Console::PostRun(web::Request request) {
  Result<Asked> asked = ReadAction(request);
  if (!asked) co_return Fail(asked.error());
  if (operations_.running() >= options_.actions_at_once) {
    co_return Fail(Code::kResourceExhausted, "{} actions run already: wait for one to end",
                   options_.actions_at_once);
  }
  Operation operation;
  operation.action = asked->action;
  operation.target = asked->plan.target;
  operation.command = asked->Command();
  operation.who = asked->caller.name;
  operation.needs = asked->request.needs;
  const int64_t id = operations_.Begin(std::move(operation), server_.loop().clock().WallNow());
  LOG_INFO("console: {} runs {} on {} (operation {})", asked->caller.name, asked->action,
           asked->plan.target, id);
  io::Detach(RunAction(*this, id, std::move(*asked)));
  web::Response answer = console::Answer({{"id", id}});
  answer.audited = true;  // at its end, with how it went
  co_return answer;
}

io::Task<void> Console::RunAction(Console& self, int64_t id, Asked asked) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  OperationOutput output(self.operations_, id);
  Status done = co_await self.RunWords(asked.plan.words, output, asked.plan.limit, false);
  self.operations_.End(id, done, self.server_.loop().clock().WallNow());
  self.options_.guard->Done(asked.request, asked.caller, done);
  if (!done) LOG_WARNING("console: operation {} failed: {}", id, done.error().ToString());
  self.live_.LookAgain();
}

}  // namespace paceline::console
