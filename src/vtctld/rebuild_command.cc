// RebuildTopology: asks every tablet what it carries, shows how the topology differs, writes it.
#include <algorithm>
#include <set>

#include "base/strings.h"
#include "io/stream.h"
#include "paceline_agent.pb.h"
#include "topo/paths.h"
#include "topodata.pb.h"
#include "vtctld/method.h"
#include "vtctld/rebuild.h"

namespace paceline::vtctld {
namespace {

constexpr Duration kAnswer = 3s;

std::string OneLine(std::string_view path, std::string_view bytes) {
  Result<std::string> json = topo::DisplayContents(path, bytes, topo::Display::kJson);
  std::string text = json ? *json : "(not readable)";
  std::string line;
  for (std::string_view part : Split(text, '\n')) line += Trim(part);
  return line;
}

}  // namespace

io::Task<Result<std::vector<Carrier>>> Vtctld::AskCarriers(std::vector<std::string> addresses,
                                                           std::function<void(std::string)> told,
                                                           Deadline deadline) {
  std::map<std::string, record::Tablet> to_ask;  // by address
  auto known = co_await topo_.ListTablets(deadline);
  if (!known) co_return Fail(known.error());
  for (const auto& stored : known->tablets)
    to_ask.emplace(stored.value.GrpcAddress(), stored.value);
  for (const std::string& address : addresses) {
    Result<io::Address> parsed = io::ParseAddress(address);
    if (!parsed) co_return Fail(parsed.error().Context("--tablets"));
    record::Tablet tablet;
    tablet.hostname = parsed->host;
    tablet.port_map["grpc"] = parsed->port;
    to_ask.emplace(address, tablet);
  }
  std::vector<Carrier> carriers;
  for (const auto& [address, tablet] : to_ask) {
    std::shared_ptr<port::TabletManager> manager = connect_(tablet);
    agent::CarriedTopologyRequest request;
    agent::CarriedTopologyResponse response;
    Deadline patience = Deadline::In(kAnswer).EarlierOf(deadline);
    Status answered = Fail(Code::kUnavailable, "cannot be reached");
    if (manager != nullptr)
      answered = co_await manager->CarriedTopology(request, response, patience);
    if (!answered) {
      told(fmt::format("{} is not asked: {}", address, answered.error().ToString()));
      continue;
    }
    Carrier carrier;
    Result<record::Tablet> own =
        topo::Decode<record::Tablet>(response.tablet().SerializeAsString());
    if (!own) co_return Fail(own.error().Context(address));
    bool asked = std::any_of(carriers.begin(), carriers.end(), [&own](const Carrier& other) {
      return other.tablet.alias == own->alias;
    });
    if (asked) continue;  // by another address
    carrier.tablet = *own;
    for (const agent::CarriedFile& file : response.files()) {
      carrier.files.push_back(
          {file.path(), file.data(), file.identity(), {file.version()}, {file.received_unix_ns()}});
    }
    carriers.push_back(std::move(carrier));
  }
  co_return carriers;
}

io::Task<Status> Vtctld::RebuildTopology(std::vector<std::string> addresses, bool write,
                                         std::function<void(std::string)> told, Deadline deadline) {
  Result<std::vector<Carrier>> carriers = co_await AskCarriers(addresses, told, deadline);
  if (!carriers) co_return Fail(carriers.error());
  if (carriers->empty()) {
    co_return Fail(Code::kFailedPrecondition,
                   "no tablet answers: name some by --tablets host:grpc-port,...");
  }
  std::map<std::string, std::string> current;
  std::map<std::string, topo::Version> versions;
  topo::Path root;
  Result<std::vector<topo::File>> files = co_await topo_.global().List(root, deadline);
  if (!files) co_return Fail(files.error());
  for (topo::File& file : *files) {
    versions["global/" + file.path] = file.version;
    current["global/" + file.path] = std::move(file.data);
  }
  for (const Carrier& carrier : *carriers) {
    record::TabletAlias alias = carrier.tablet.alias;
    auto stored = co_await topo_.GetTablet(alias, deadline);
    bool absent = !stored && stored.error().code() == Code::kNotFound;
    if (!stored && !absent) co_return Fail(stored.error());
    if (stored) current[alias.cell + "/" + topo::TabletPath(alias)] = stored->raw;
  }
  std::vector<RebuildChange> changes = PlanRebuild(*carriers, current);
  for (const RebuildChange& change : changes) {
    told(fmt::format("{} /{}/{} (from {})", change.from ? "change" : "add", change.cell,
                     change.path, change.source));
    if (change.from) told("  - " + OneLine(change.path, *change.from));
    told("  + " + OneLine(change.path, change.to));
  }
  if (changes.empty()) {
    told(fmt::format("the topology says what {} tablets carry", carriers->size()));
    co_return Status();
  }
  if (!write) {
    told(fmt::format("{} records differ; nothing was written: --yes writes them", changes.size()));
    co_return Status();
  }
  std::set<std::string> keyspaces;
  for (const RebuildChange& change : changes) {
    if (change.cell == "global") {
      std::string path = change.path, data = change.to;
      Result<topo::Version> written;
      if (change.from) {
        topo::Version seen = versions["global/" + path];
        written = co_await topo_.global().Update(path, data, seen, deadline);
      } else {
        written = co_await topo_.global().Create(path, data, deadline);
      }
      if (!written) co_return Fail(written.error().Context("writing " + change.path));
      continue;
    }
    Result<record::Tablet> tablet = topo::Decode<record::Tablet>(change.to);
    if (!tablet) co_return Fail(tablet.error());
    record::Tablet now = *tablet;
    record::TabletAlias alias = now.alias;
    Status done;
    if (change.from) {
      topo::Server::TabletFn set = [now](record::Tablet& stored) -> Result<bool> {
        stored = now;
        return true;
      };
      auto updated = co_await topo_.UpdateTabletFields(alias, std::move(set), deadline);
      if (!updated) done = Fail(updated.error());
    } else {
      done = co_await topo_.CreateTablet(now, deadline);
    }
    if (!done) co_return Fail(done.error().Context("writing " + change.path));
  }
  for (const Carrier& carrier : *carriers) keyspaces.insert(carrier.tablet.keyspace);
  std::vector<std::string> cells;  // all
  for (const std::string& keyspace : keyspaces) {
    Status graph = co_await topo_.RebuildKeyspace(keyspace, cells, true, deadline);
    if (!graph) co_return graph;
  }
  Status vschema = co_await topo_.RebuildVSchemaGraph(cells, deadline);
  if (vschema) told(fmt::format("{} records written, the serving graph rebuilt", changes.size()));
  co_return vschema;
}

}  // namespace paceline::vtctld
