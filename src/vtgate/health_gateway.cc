#include "vtgate/health_gateway.h"

#include <algorithm>

namespace paceline::vtgate {
namespace {

// How long after a refusal it is worth asking the same tablet again, when nothing is heard of it.
Duration AskAgainAfter(int refusals) { return std::min(refusals, 10) * 10ms; }
constexpr int kMostRefusalsUnbuffered = 3;
constexpr Duration kUnbufferedRetry = 100ms;
constexpr int kMostRefusalsOfReplicas = 100;

bool SameTerm(const health::PrimaryTerm& a, const health::PrimaryTerm& b) {
  return a.term == b.term && a.start == b.start;
}

}  // namespace

HealthGateway::HealthGateway(health::Watcher& watcher, ServiceOf service_of, BufferOptions buffer,
                             FailoverMetrics& metrics, std::shared_ptr<ReplayTurns> turns)
    : watcher_(watcher),
      service_of_(std::move(service_of)),
      buffer_(std::move(buffer)),
      metrics_(metrics),
      turns_(std::move(turns)) {
  listener_ =
      watcher_.AddListener([this](const health::TabletStatus& status) { OnHealth(status); }, true);
  for (const health::TabletStatus& status : watcher_.view().List()) OnHealth(status);
}

HealthGateway::~HealthGateway() { watcher_.RemoveListener(listener_); }

HealthGateway::Shard& HealthGateway::ShardOf(const record::Target& target) {
  auto found = shards_.find(target);
  if (found == shards_.end()) {
    found = shards_.try_emplace(record::KeyspaceShard{target.keyspace, target.shard}).first;
    Shard& made = found->second;
    made.replays = turns_->Of(found->first);
    made.replays->Listen(io::Loop::Current().inbox(), made.changed);
  }
  return found->second;
}

void HealthGateway::OnHealth(const health::TabletStatus& status) {
  Shard& shard = ShardOf(status.target);
  const bool was_it = shard.primary && shard.primary->alias == status.tablet.alias;
  if (!was_it && status.target.type != record::TabletType::kPrimary) return;
  const health::TabletStatus* now =
      watcher_.view().PickPrimary(status.target.keyspace, status.target.shard);
  if (now == nullptr) {
    if (std::exchange(shard.primary, std::nullopt)) shard.changed->Pulse();
    return;
  }
  port::QueryServicePtr service = service_of_(now->tablet.alias);
  if (service == nullptr) {
    shard.primary.reset();
    return;
  }
  const bool same = shard.primary && shard.primary->alias == now->tablet.alias &&
                    shard.primary->service == service &&
                    SameTerm(shard.primary->primary->term, now->primary_term);
  const Time moment = io::Loop::Current().Now();
  if (!same || shard.primary->primary->position != now->position) {
    auto sight = std::make_shared<const PrimarySight>(now->primary_term, now->position);
    shard.primary = Chosen{std::move(service), now->tablet.alias, std::move(sight)};
  }
  const bool over =
      buffer_.Serves({now->target.keyspace, now->target.shard}, now->primary_term, moment);
  if (!same) {
    shard.replays_until = moment + kReplaysFirst;
    shard.replays_may_come_until = over ? moment + kReplaysMayCome : moment;
  }
  if (!same || over) shard.changed->Pulse();
}

std::optional<Chosen> HealthGateway::Pick(const record::Target& target, const BufferPlace& place) {
  if (target.type == record::TabletType::kPrimary) {
    auto found = shards_.find(target);
    if (found == shards_.end()) return std::nullopt;
    const Shard& shard = found->second;
    if (!shard.Open(place, io::Loop::Current().Now())) return std::nullopt;
    return shard.primary;
  }
  std::optional<health::TabletStatus> status = watcher_.PickReplica(target);
  if (!status) return std::nullopt;
  Result<Chosen> found = Find(status->tablet.alias);
  if (!found) return std::nullopt;
  return std::move(*found);
}

std::string HealthGateway::WhyNone(const record::Target& target) const {
  // Vitess's words, which clients and tools look for.
  std::string text =
      fmt::format("target: {}: no healthy tablet available for it", target.ToString());
  if (target.type == record::TabletType::kPrimary) {
    text += ": " + watcher_.WhyNoPrimary(target.keyspace, target.shard);
  }
  return text;
}

io::Task<bool> HealthGateway::News(Shard* shard, BufferPlace* place, Deadline deadline) {
  place->waits_for_ = shard->changed.get();
  bool news = co_await shard->changed->Wait(deadline);
  place->waits_for_ = nullptr;
  co_return news;
}

Status HealthGateway::Enter(const record::Target& target, BufferPlace* place, Time now) {
  if (place->buffer_ != nullptr) return {};
  Buffer::Admission admission = buffer_.Enter({target.keyspace, target.shard}, place->bytes_, now);
  if (admission.verdict == Buffer::Verdict::kOff) {
    // What a tablet refused a moment ago may be served by the one that is known already.
    place->until_ = now + (place->refusals_ > kMostRefusalsUnbuffered ? 0ms : kUnbufferedRetry);
    return {};
  }
  if (admission.verdict != Buffer::Verdict::kWait) {
    metrics_.buffer_refused.Add();
    return Fail(Code::kUnavailable, "{}; {}", WhyNone(target),
                WhyRefused(admission.verdict, buffer_));
  }
  place->buffer_ = &buffer_;
  place->until_ = admission.until;
  metrics_.buffered.Add();
  return {};
}

io::Task<Status> HealthGateway::Wait(record::Target target, bool refused, BufferPlace* place,
                                     Deadline deadline) {
  Shard& shard = ShardOf(target);
  const Time now = io::Loop::Current().Now();
  if (refused) ++place->refusals_;
  Deadline again = Deadline::In(AskAgainAfter(place->refusals_)).EarlierOf(deadline);
  if (target.type != record::TabletType::kPrimary) {
    if (!refused || place->refusals_ > kMostRefusalsOfReplicas) {
      co_return Fail(Code::kUnavailable, "{}", WhyNone(target));
    }
    bool news = co_await News(&shard, place, again);
    (void)news;
    co_return Status();
  }
  Status entered = Enter(target, place, now);
  if (!entered) co_return entered;
  const bool waits = place->buffer_ != nullptr;
  Deadline until = Deadline::At(place->until_).EarlierOf(deadline);
  if (refused && shard.Open(*place, now) && !until.Passed(now)) {
    bool news = co_await News(&shard, place, again.EarlierOf(until));
    (void)news;
    if (!place->interrupted_) co_return Status();
  }
  bool in_time = waits && !until.Passed(now);
  while (in_time && !place->interrupted_ && !shard.Open(*place, io::Loop::Current().Now())) {
    Deadline turn = until;
    if (shard.primary)
      turn = turn.EarlierOf(Deadline::At(shard.ClosedUntil(io::Loop::Current().Now())));
    bool news = co_await News(&shard, place, turn);
    in_time = news || !until.Passed(io::Loop::Current().Now());
  }
  if (place->interrupted_) {
    co_return Fail(Code::kCanceled, "interrupted while it waited for a primary of {}/{}",
                   target.keyspace, target.shard);
  }
  if (in_time) {
    metrics_.buffer_released.Add();
    co_return Status();
  }
  if (waits) metrics_.buffer_expired.Add();
  co_return Fail(Code::kUnavailable, "{}", WhyNone(target));
}

void HealthGateway::BeginReplay(const record::Target& target, BufferPlace* place) {
  if (place->replays_of_ != nullptr) return;
  place->replays_of_ = ShardOf(target).replays;
  place->replays_of_->Begin();
}

Result<Chosen> HealthGateway::Find(const record::TabletAlias& alias) {
  port::QueryServicePtr service = service_of_(alias);
  if (service == nullptr) {
    return Fail(Code::kUnavailable, "tablet {} is not connected", alias.ToString());
  }
  return Chosen{std::move(service), alias, nullptr};
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
