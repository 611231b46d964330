#include "vtgate/health_gateway.h"

namespace paceline::vtgate {

io::Task<Result<Chosen>> HealthGateway::Choose(record::Target target, Deadline deadline) {
  std::optional<health::TabletStatus> status;
  bool primary = target.type == record::TabletType::kPrimary;
  if (primary) {
    status = watcher_.PickPrimary(target.keyspace, target.shard);
    if (!status) {
      Deadline until = Deadline::In(primary_wait_).EarlierOf(deadline);
      Result<health::TabletStatus> waited = co_await watcher_.WaitForPrimary(
          target.keyspace, target.shard, health::PrimaryTerm(), until);
      if (!waited) {
        // Vitess's words, which clients and tools look for.
        co_return Fail(Code::kUnavailable, "target: {}: no healthy tablet available for it: {}",
                       target.ToString(), waited.error().message());
      }
      status = std::move(*waited);
    }
  } else {
    status = watcher_.PickReplica(target);
  }
  if (!status) {
    co_return Fail(Code::kUnavailable, "target: {}: no healthy tablet available for it",
                   target.ToString());
  }
  Result<Chosen> found = Find(status->tablet.alias);
  co_return found;
}

Result<Chosen> HealthGateway::Find(const record::TabletAlias& alias) {
  port::QueryServicePtr service = service_of_(alias);
  if (service == nullptr) {
    return Fail(Code::kUnavailable, "tablet {} is not connected", alias.ToString());
  }
  return Chosen{std::move(service), alias};
}

std::vector<TabletLine> HealthGateway::Tablets() const {
  std::vector<TabletLine> lines;
  for (const health::TabletStatus& status : watcher_.view().List()) {
    TabletLine line;
    line.tablet = status.tablet;
    line.type = status.target.type;
    line.serving = status.healthy();
    line.lag = status.replication_lag;
    line.primary_term_start = status.primary_term.start;
    line.error = status.error;
    lines.push_back(std::move(line));
  }
  return lines;
}

}  // namespace paceline::vtgate
