#include "vtgate/gate.h"

#include "base/log.h"
#include "topo/paths.h"

namespace paceline::vtgate {
namespace {

// Not that of a snapshot, which is another keyspace's.
std::map<std::string, std::string> OwnDatabases(const std::vector<health::TabletStatus>& tablets) {
  std::map<std::string, std::string> databases;
  std::set<std::string> usual;
  for (const health::TabletStatus& status : tablets) {
    usual.insert("vt_" + status.tablet.keyspace);
    if (!status.tablet.db_name_override.empty())
      databases[status.tablet.keyspace] = status.tablet.db_name_override;
  }
  std::erase_if(databases, [&usual](const auto& entry) { return usual.contains(entry.second); });
  return databases;
}

}  // namespace

Gate::Gate(io::Loop& loop, GateOptions options, Dialer& dialer, SessionTable& table)
    : loop_(loop), options_(std::move(options)), dialer_(dialer), table_(table) {}

Gate::~Gate() = default;

io::Task<Status> Gate::Start(Deadline deadline) {
  Result<std::unique_ptr<topo::Server>> topo = topo::OpenServer(options_.topo);
  if (!topo) co_return Fail(topo.error());
  topo_ = std::move(*topo);
  if (!options_.local_copy.empty()) {
    cache_ = options_.saves_local_copy ? topo::Cache::Open(options_.local_copy)
                                       : topo::Cache::OpenToRead(options_.local_copy);
  }
  if (cache_ != nullptr) {
    // The cell's store is found through the global one, which may be away.
    auto info = cache_->GetRecord<record::CellInfo>("global", topo::CellInfoPath(options_.cell));
    if (info) topo_->RememberCell(options_.cell, *info);
  }
  Deadline soon = Deadline::In(2s).EarlierOf(deadline);
  auto info = co_await topo_->GetCellInfo(options_.cell, soon);
  if (info && cache_ != nullptr)
    cache_->Put("global", topo::CellInfoPath(options_.cell), info->raw);
  if (!info) LOG_WARNING("cell {}: {}", options_.cell, info.error().ToString());

  health::WatcherOptions watch;
  watch.cells = options_.cells_to_watch;
  watch.local_cell = options_.cell;
  watch.view.lag_low = options_.lag_low;
  watch.view.lag_high = options_.lag_high;
  watcher_ =
      std::make_unique<health::Watcher>(loop_, watch, *topo_, dialer_, cache_.get(), ThreadRng());
  watcher_->Start();
  HealthGateway::ServiceOf service_of = [this](const record::TabletAlias& alias) {
    return dialer_.Last(alias);
  };
  gateway_ = std::make_unique<HealthGateway>(*watcher_, std::move(service_of), options_.buffer,
                                             *context_.metrics, options_.replay_turns);
  context_.gateway = gateway_.get();
  context_.failover = options_.failover;
  context_.read_after_write = options_.read_after_write;
  context_.statements = options_.statements;
  context_.query_log = options_.query_log;
  context_.registry = &table_;
  context_.query_timeout = options_.query_timeout;
  TopologyFeed::Take take = [this](std::shared_ptr<const TopologyView> view) {
    context_.topology = std::move(view);
  };
  TopologyFeed::Databases databases = [this] { return OwnDatabases(watcher_->view().List()); };
  feed_ = std::make_unique<TopologyFeed>(*topo_, cache_.get(), options_.cell, std::move(databases),
                                         std::move(take));
  feed_->Start();
  version_ = std::make_unique<VersionProbe>(context_, cache_.get());
  version_->Start();
  front_ = std::make_unique<MysqlFront>(loop_, context_, table_, options_.front);
  co_return Status();
}

io::Task<void> Gate::Stop(Deadline deadline) {
  if (front_) co_await front_->Stop(deadline);
  if (version_) co_await version_->Stop(deadline);
  if (feed_) co_await feed_->Stop(deadline);
  if (topo_) co_await topo_->Stop();
  if (watcher_) co_await watcher_->Stop();
}

}  // namespace paceline::vtgate
