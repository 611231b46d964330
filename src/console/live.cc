#include "console/live.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "io/http_get.h"
#include "topo/maintenance.h"

namespace paceline::console {

using Json = nlohmann::json;

namespace {

constexpr size_t kPositionMax = 2000;
constexpr Duration kNoCellInterval = std::chrono::milliseconds(200);
constexpr auto kBeat = std::chrono::seconds(15);  // proxies close what is silent

double Rounded(double value) { return std::round(value * 10) / 10; }

Json Millis(WallTime time) { return time.unix_ns == 0 ? Json() : Json(time.unix_ns / 1'000'000); }

// Its client has gone, or had gone before the answer could begin.
bool IsGone(const std::shared_ptr<web::EventStream>& listener) {
  return listener->closed() || listener.use_count() == 1;
}

std::string Dump(const Json& json) {
  // Bytes that are not UTF-8 may come from a server's error text.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

struct Live::Cell {
  std::unique_ptr<health::Watcher> watcher;
  int listener = 0;
};

Live::Live(io::Loop& loop, topo::Server& topo, health::Dialer& dialer, Rng& rng,
           AskPositions positions, LiveOptions options)
    : loop_(loop),
      topo_(topo),
      dialer_(dialer),
      rng_(rng),
      ask_positions_(std::move(positions)),
      options_(options),
      topology_(std::make_unique<Json>(Json::object())),
      asking_(options.details_at_once) {}

Live::~Live() = default;

void Live::Start() {
  io::Detach(WatchTopology(*this));
  io::Detach(PublishTablets(*this));
  io::Detach(AskDetails(*this));
  io::Detach(FollowPositions(*this));
}

io::Task<void> Live::Stop() {
  look_again_.Set();
  asking_.Close();
  bool left = co_await gate_.Close(Deadline::In(5s));
  if (!left) LOG_WARNING("{} tasks of the console did not end in time", gate_.count());
  WatchCells({});
  co_await ForgetCells();
  for (const auto& listener : listeners_) listener->Close();
  listeners_.clear();
}

Status Live::Listen(std::shared_ptr<web::EventStream> listener) {
  std::erase_if(listeners_, IsGone);
  if (listeners_.size() >= options_.listeners) {
    return Fail(Code::kResourceExhausted,
                "{} browsers watch already: close some of their pages, or use another vtctld",
                listeners_.size());
  }
  listener->Send("snapshot", Dump(Snapshot()));
  listeners_.push_back(std::move(listener));
  return {};
}

void Live::Publish(std::string_view event, const Json& data) {
  if (listeners_.empty()) return;
  const std::string text = Dump(data);
  std::erase_if(listeners_, [&](const auto& listener) {
    return IsGone(listener) || !listener->Send(event, text);
  });
}

Json Live::Snapshot() const {
  Json snapshot = *topology_;
  Json tablets = Json::array();
  for (const health::TabletStatus& status : Tablets()) tablets.push_back(TabletJson(status));
  snapshot["tablets"] = std::move(tablets);
  return snapshot;
}

std::vector<health::TabletStatus> Live::Tablets() const {
  std::vector<health::TabletStatus> all;
  for (const auto& [name, cell] : cells_) {
    for (health::TabletStatus& status : cell->watcher->view().List()) {
      all.push_back(std::move(status));
    }
  }
  return all;
}

const health::TabletStatus* Live::Find(const record::TabletAlias& alias) const {
  const auto cell = cells_.find(alias.cell);
  return cell == cells_.end() ? nullptr : cell->second->watcher->view().Find(alias);
}

Json Live::TabletJson(const health::TabletStatus& status) const {
  const record::Tablet& tablet = status.tablet;
  Json json = {{"alias", tablet.alias.ToString()},
               {"cell", tablet.alias.cell},
               {"keyspace", tablet.keyspace},
               {"shard", tablet.shard},
               {"type", record::TabletTypeName(status.target.type)},
               {"serving", status.serving},
               {"healthy", status.healthy()},
               {"connected", status.connected},
               {"host", tablet.hostname},
               {"web_port", tablet.Port("vt")},
               {"grpc_port", tablet.Port("grpc")},
               {"mysql", fmt::format("{}:{}", tablet.mysql_hostname, tablet.mysql_port)},
               {"qps", Rounded(status.qps)},
               {"error", status.error},
               {"tags", tablet.tags}};
  const auto position = positions_.find(tablet.alias);
  const bool told = !status.position.empty() || position == positions_.end();
  json["position"] = (told ? status.position : position->second).substr(0, kPositionMax);
  const double lag = std::chrono::duration<double>(status.replication_lag).count();
  json["lag"] = status.connected && status.target.type != record::TabletType::kPrimary
                    ? Json(Rounded(lag))
                    : Json();
  json["primary_since"] =
      Millis(status.target.type == record::TabletType::kPrimary
                 ? std::max(status.primary_term.start, tablet.primary_term_start)
                 : WallTime());
  const auto details = details_.find(tablet.alias);
  const TabletDetails known = details == details_.end() ? TabletDetails() : details->second;
  json["version"] = known.version;
  json["disk_bytes"] = known.disk_bytes < 0 ? Json() : Json(known.disk_bytes);
  json["disk_seconds_left"] = known.disk_seconds_left < 0 ? Json() : Json(known.disk_seconds_left);
  json["disk_free_bytes"] = known.disk_free_bytes < 0 ? Json() : Json(known.disk_free_bytes);
  return json;
}

void Live::WatchCells(const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::unique_ptr<Cell>& cell = cells_[name];
    if (cell) continue;
    cell = std::make_unique<Cell>();
    health::WatcherOptions watching;
    watching.cells = {name};
    watching.hang_up_after = 2s;
    watching.redial_max = 2s;
    cell->watcher =
        std::make_unique<health::Watcher>(loop_, watching, topo_, dialer_, nullptr, rng_);
    const auto changed = [this](const health::TabletStatus& status) {
      changed_.insert(status.tablet.alias);
    };
    cell->listener = cell->watcher->AddListener(changed, true);
    cell->watcher->Start();
  }
  for (auto at = cells_.begin(); at != cells_.end();) {
    if (std::ranges::find(names, at->first) != names.end()) {
      ++at;
      continue;
    }
    for (const health::TabletStatus& status : at->second->watcher->view().List()) {
      changed_.insert(status.tablet.alias);
    }
    at->second->watcher->RemoveListener(at->second->listener);
    gone_cells_.push_back(std::move(at->second));
    at = cells_.erase(at);
  }
}

io::Task<void> Live::ForgetCells() {
  while (!gone_cells_.empty()) {
    std::unique_ptr<Cell> cell = std::move(gone_cells_.back());
    gone_cells_.pop_back();
    co_await cell->watcher->Stop();
  }
}

io::Task<void> Live::WatchTopology(Live& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (!self.gate_.closed()) {
    co_await self.ReadTopology();
    co_await self.ForgetCells();
    // A cluster that is being made is watched from its first cell on.
    const Duration wait = self.cells_.empty() ? kNoCellInterval : self.options_.topology_interval;
    bool asked = co_await self.look_again_.Wait(Deadline::In(wait));
    if (asked && !self.gate_.closed()) self.look_again_.Reset();
  }
}

io::Task<void> Live::ReadTopology() {
  const Deadline deadline = Deadline::In(5s);
  Json now = {{"cells", Json::array()},
              {"keyspaces", Json::array()},
              {"shards", Json::array()},
              {"maintenance", Json::object()},
              {"problems", Json::array()}};
  const auto problem = [&now](std::string what, const Error& error) {
    now["problems"].push_back(what + ": " + error.ToString());
  };
  auto cells = co_await topo_.ListCells(deadline);
  if (!cells) {
    // What was known stays; the pages say since when it is old.
    Json old = *topology_;
    old["problems"] = Json::array({"the topology does not answer: " + cells.error().ToString()});
    if (old != *topology_) Publish("topology", *topology_ = old);
    co_return;
  }
  WatchCells(*cells);
  for (const std::string& name : *cells) {
    auto info = co_await topo_.GetCellInfo(name, deadline);
    if (!info) {
      problem("cell " + name, info.error());
      continue;
    }
    now["cells"].push_back(
        {{"name", name}, {"address", info->value.server_address}, {"root", info->value.root}});
  }
  auto keyspaces = co_await topo_.ListKeyspaces(deadline);
  if (!keyspaces) problem("keyspaces", keyspaces.error());
  const std::vector<std::string> names = keyspaces ? *keyspaces : std::vector<std::string>();
  std::map<record::KeyspaceShard, record::Shard> found;
  for (const std::string& name : names) {
    auto keyspace = co_await topo_.GetKeyspace(name, deadline);
    if (!keyspace) {
      problem("keyspace " + name, keyspace.error());
      continue;
    }
    const bool snapshot = keyspace->value.type == record::KeyspaceType::kSnapshot;
    const std::string& durability = keyspace->value.durability_policy;
    now["keyspaces"].push_back({{"name", name},
                                {"type", snapshot ? "snapshot" : "normal"},
                                {"durability", durability.empty() ? "none" : durability}});
    auto shards = co_await topo_.GetShards(name, deadline);
    if (!shards) {
      problem("shards of " + name, shards.error());
      continue;
    }
    for (const auto& [shard, stored] : *shards) {
      const record::TabletAlias& primary = stored.value.primary_alias;
      now["shards"].push_back({{"keyspace", name},
                               {"name", shard},
                               {"primary", primary.empty() ? "" : primary.ToString()},
                               {"primary_since", Millis(stored.value.primary_term_start)},
                               {"serving", stored.value.is_primary_serving}});
      found[{name, shard}] = stored.value;
    }
  }
  auto maintenance = co_await topo::ReadMaintenance(topo_, nullptr, deadline);
  if (maintenance) now["maintenance"] = *maintenance;
  if (keyspaces) shards_ = std::move(found);
  if (now != *topology_) Publish("topology", *topology_ = std::move(now));
}

io::Task<void> Live::PublishTablets(Live& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  Time beat = self.loop_.Now();
  while (true) {
    bool open = co_await io::Sleep(self.gate_, Deadline::In(self.options_.tablet_interval));
    if (!open) co_return;
    Json news = Json::array(), gone = Json::array();
    for (const record::TabletAlias& alias : std::exchange(self.changed_, {})) {
      const health::TabletStatus* status = self.Find(alias);
      if (status == nullptr) {
        self.details_.erase(alias);
        self.positions_.erase(alias);
        if (self.told_.erase(alias) > 0) gone.push_back(alias.ToString());
        continue;
      }
      Json json = self.TabletJson(*status);
      std::string text = Dump(json);
      std::string& told = self.told_[alias];
      if (told == text) continue;
      told = std::move(text);
      news.push_back(std::move(json));
    }
    const bool silent = self.loop_.Now() - beat > kBeat;
    if (silent || !news.empty() || !gone.empty()) {
      beat = self.loop_.Now();
      self.Publish("tablets", {{"changed", std::move(news)}, {"gone", std::move(gone)}});
    }
  }
}

io::Task<void> Live::AskDetails(Live& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  Duration wait = 1s;  // until the first tablets are known
  while (true) {
    bool open = co_await io::Sleep(self.gate_, Deadline::In(wait));
    if (!open) co_return;
    const std::vector<health::TabletStatus> tablets = self.Tablets();
    if (!tablets.empty()) wait = self.options_.details_interval;
    for (const health::TabletStatus& status : tablets) {
      if (!status.connected || status.tablet.Port("vt") == 0) continue;
      Status turn = co_await self.asking_.Acquire(Deadline::In(30s));
      if (!turn) break;
      record::Tablet tablet = status.tablet;
      io::Detach(AskOne(self, std::move(tablet)));
    }
  }
}

io::Task<void> Live::AskOne(Live& self, record::Tablet tablet) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  const auto port = static_cast<uint16_t>(tablet.Port("vt"));
  Result<std::string> vars = co_await io::HttpGet(io::Address::Tcp(tablet.hostname, port),
                                                  "/debug/vars", Deadline::In(3s));
  self.asking_.Release();
  if (!vars) co_return;
  const Json json = Json::parse(*vars, nullptr, false);
  if (!json.is_object()) co_return;
  TabletDetails& details = self.details_[tablet.alias];
  if (json.contains("BuildVersion") && json["BuildVersion"].is_string()) {
    details.version = json["BuildVersion"];
  }
  details.disk_bytes = json.value("DataDirBytes", int64_t{-1});
  details.disk_free_bytes = json.value("DataDirFreeBytes", int64_t{-1});
  details.disk_seconds_left = json.value("DiskSecondsLeft", int64_t{-1});
  self.changed_.insert(tablet.alias);
}

io::Task<void> Live::FollowPositions(Live& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  Duration wait = 1s;
  while (true) {
    bool open = co_await io::Sleep(self.gate_, Deadline::In(wait));
    if (!open) co_return;
    if (self.listeners_.empty()) continue;
    wait = self.options_.position_interval;
    std::vector<record::KeyspaceShard> names;
    for (const auto& [name, shard] : self.shards_) names.push_back(name);
    for (const record::KeyspaceShard& name : names) {
      Status turn = co_await self.asking_.Acquire(Deadline::In(30s));
      if (!turn) break;
      io::Detach(AskShard(self, name));
    }
  }
}

io::Task<void> Live::AskShard(Live& self, record::KeyspaceShard shard) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  Result<Positions> found = co_await self.ask_positions_(std::move(shard));
  self.asking_.Release();
  if (!found) co_return;
  for (auto& [alias, position] : *found) {
    std::string& known = self.positions_[alias];
    if (known == position) continue;
    known = std::move(position);
    self.changed_.insert(alias);
  }
}

}  // namespace paceline::console
