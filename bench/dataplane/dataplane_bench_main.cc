// Measures the data plane: client library -> native -> pool -> mysqld, as two processes so that
// each one's CPU is seen.
//   dataplane_bench tablet --mysqld=/path/mysqld.sock --listen=/path/native.sock [--user --password
//   --db --pool] dataplane_bench client --connect=/path/native.sock --concurrency=8 --seconds=5
//   [--prepared] [--rows=1]
// The client prints queries per second and its CPU per query; the tablet prints its own when told
// SIGINT.
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/rng.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "mysql/wire/codec.h"
#include "native/client.h"
#include "native/server.h"
#include "vttablet/query/query_server.h"

namespace paceline {
namespace {

std::map<std::string, std::string> options;

std::string Option(const std::string& name, const std::string& otherwise) {
  auto found = options.find(name);
  return found == options.end() ? otherwise : found->second;
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

io::Address AddressOption(const std::string& name) { return *io::ParseAddress(Option(name, "")); }

io::Loop* stop_loop = nullptr;

int RunTablet() {
  io::Loop loop;
  vttablet::QueryServerOptions query;
  query.alias = {"zone1", 100};
  query.keyspace = "ks";
  query.shard = "0";
  query.pool.mysqld.address = AddressOption("mysqld");
  query.pool.mysqld.user = Option("user", "app");
  query.pool.mysqld.password = Option("password", "pw");
  query.pool.mysqld.database = Option("db", "vt_ks");
  query.pool.statements = *ParseUint(Option("pool", "8"));
  vttablet::QueryServer service(loop, query);
  service.SetServing(record::TabletType::kPrimary, true, "", 1);
  native::ServerOptions native;
  native.addresses.push_back(AddressOption("listen"));
  native.tablet = query.alias;
  Result<std::unique_ptr<native::Server>> server =
      native::Server::Listen(loop, {{&loop, &service}}, native);
  if (!server) {
    fprintf(stderr, "%s\n", server.error().ToString().c_str());
    return 1;
  }
  stop_loop = &loop;
  auto stop = [](int) { stop_loop->Stop(); };
  signal(SIGINT, stop);
  signal(SIGTERM, stop);
  const double before = CpuSeconds();
  loop.Run();
  const auto queries = static_cast<double>(service.metrics().queries.value());
  printf("tablet: %.0f queries, %.1f us CPU per query, %ld connections made, %ld waits\n", queries,
         1e6 * (CpuSeconds() - before) / std::max(queries, 1.0), service.metrics().dials.value(),
         service.metrics().waits.value());
  io::RunUntilDone(loop, [](native::Server* s, vttablet::QueryServer* q) -> io::Task<int> {
    io::Task<void> service_closed = q->Close();
    co_await service_closed;
    io::Task<void> server_closed = s->Close();
    co_await server_closed;
    co_return 0;
  }(server->get(), &service));
  return 0;
}

class CountingSink final : public port::ResultSink {
 public:
  void OnColumns(uint64_t, std::string_view) override { ++columns; }
  void OnRows(std::string_view bytes) override { row_bytes += bytes.size(); }
  void OnEnd(const mysql::wire::Terminator& end, bool) override {
    if (end.is_error()) {
      ++errors;
      message = end.message;
    }
  }
  void OnPrepared(uint16_t, std::string_view, uint16_t, std::string_view, uint16_t) override {}
  uint64_t columns = 0, row_bytes = 0, errors = 0;
  std::string message;
};

struct ClientRun {
  native::Client* client;
  Time until;
  uint64_t rows = 1;
  bool prepared = false;
  uint64_t done = 0, failed = 0;
  CountingSink sink;
  std::vector<double> latencies_us;
  io::Gate gate;
};

io::Task<void> Worker(ClientRun* run) {
  std::optional<io::Gate::Pass> pass = run->gate.Enter();
  io::Loop& loop = io::Loop::Current();
  std::string text, parameters;
  while (loop.Now() < run->until) {
    port::QueryRequest request;
    request.target = {"ks", "0", record::TabletType::kPrimary, ""};
    const uint64_t id = 1 + ThreadRng().Below(10000);
    if (run->prepared) {
      request.kind = port::StatementKind::kExecute;
      request.text = "SELECT c FROM sbtest1 WHERE id=?";
      parameters.assign("\0\1\0\0\0\0\1\x08\0", 9);
      mysql::wire::PutU64(&parameters, id);
      request.parameters = parameters;
    } else {
      text = run->rows == 1 ? fmt::format("SELECT c FROM sbtest1 WHERE id={}", id)
                            : fmt::format("SELECT * FROM sbtest1 LIMIT {}", run->rows);
      request.text = text;
    }
    const Time began = loop.Now();
    Deadline deadline = Deadline::After(loop.clock(), std::chrono::seconds(10));
    Result<port::QueryEnd> end = co_await run->client->Execute(request, run->sink, deadline);
    run->latencies_us.push_back(static_cast<double>((loop.Now() - began).count()) / 1000);
    if (end) {
      ++run->done;
    } else if (run->failed++ == 0) {
      fprintf(stderr, "%s\n", end.error().ToString().c_str());
    }
  }
}

io::Task<int> RunClients() {
  native::ClientOptions options;
  io::Address to = AddressOption("connect");
  options.address = to;
  if (to.is_unix()) options.unix_path = to.unix_path;
  Result<std::unique_ptr<native::Client>> client =
      co_await native::Client::Connect(options, Deadline::In(std::chrono::seconds(5)));
  if (!client) {
    fprintf(stderr, "%s\n", client.error().ToString().c_str());
    co_return 1;
  }
  ClientRun run;
  run.client = client->get();
  run.rows = *ParseUint(Option("rows", "1"));
  run.prepared = options.program.empty() ? false : Option("prepared", "") == "1";
  const uint64_t concurrency = *ParseUint(Option("concurrency", "8"));
  const double seconds = static_cast<double>(*ParseUint(Option("seconds", "5")));
  run.until = SystemClock().Now() +
              std::chrono::duration_cast<Duration>(std::chrono::duration<double>(seconds));
  const double before = CpuSeconds();
  for (uint64_t i = 0; i < concurrency; ++i) io::Detach(Worker(&run));
  bool left = co_await run.gate.Close(Deadline::In(std::chrono::seconds(600)));
  const double cpu = CpuSeconds() - before;
  std::sort(run.latencies_us.begin(), run.latencies_us.end());
  const auto queries = static_cast<double>(run.done);
  printf(
      "client: %2lu running, %.0f queries/s, %.1f us CPU per query, p50 %.0f us, p99 %.0f us, %lu "
      "failed, %lu mysql errors %s, %.1f MB rows%s\n",
      concurrency, queries / seconds, 1e6 * cpu / std::max(queries, 1.0),
      run.latencies_us.empty() ? 0 : run.latencies_us[run.latencies_us.size() / 2],
      run.latencies_us.empty() ? 0 : run.latencies_us[run.latencies_us.size() * 99 / 100],
      run.failed, run.sink.errors, run.sink.message.c_str(),
      static_cast<double>(run.sink.row_bytes) / 1e6, left ? "" : " TIMED OUT");
  co_await (*client)->Close();
  co_return run.failed > 0 || run.done == 0;
}

}  // namespace
}  // namespace paceline

int main(int argc, char** argv) {
  for (int i = 2; i < argc; ++i) {
    std::string argument = argv[i] + 2;
    size_t equals = argument.find('=');
    paceline::options[argument.substr(0, equals)] =
        equals == std::string::npos ? "1" : argument.substr(equals + 1);
  }
  if (argc > 1 && std::string(argv[1]) == "tablet") return paceline::RunTablet();
  if (argc > 1 && std::string(argv[1]) == "client") {
    paceline::io::Loop loop;
    return paceline::io::RunUntilDone(loop, paceline::RunClients());
  }
  fprintf(stderr, "usage: dataplane_bench tablet|client --option=value...\n");
  return 2;
}
