// An old primary on its way back: what becomes of its mysqld when it died, and when another tablet
// leads a later term (DESIGN section 7, step 7).
#include "base/log.h"
#include "paceline_agent.pb.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/rejoin.h"
#include "vttablet/manager/turn.h"

namespace paceline::vttablet {

// Whoever the record names, or else a tablet of the shard that the record does not name yet, if it
// has journaled a later term than this one led. Its own word counts, not the hosts' clocks.
io::Task<std::optional<Manager::LaterLeader>> Manager::FindLaterLeader(Deadline deadline) {
  auto shard = co_await needs_.topo->GetShard(tablet_.keyspace, tablet_.shard, deadline);
  if (shard) shard_ = shard->value;
  record::TabletAlias alias = shard_.primary_alias;
  if (!needs_.call_tablet) co_return std::nullopt;
  std::optional<LaterLeader> leader;
  if (!alias.empty() && alias != tablet_.alias) {
    auto recorded = co_await needs_.topo->GetTablet(alias, deadline);
    if (recorded) leader = co_await AskWhetherLater(recorded->value, deadline);
  }
  std::vector<LeaseMember> members = state_.members;
  for (size_t i = 0; i < members.size() && !leader; ++i) {
    if (members[i].alias == alias || members[i].alias == tablet_.alias) continue;
    record::Tablet other;
    other.alias = members[i].alias;
    other.hostname = members[i].hostname;
    other.port_map["grpc"] = members[i].grpc_port;
    leader = co_await AskWhetherLater(other, Deadline::In(300ms).EarlierOf(deadline));
  }
  co_return leader;
}

io::Task<std::optional<Manager::LaterLeader>> Manager::AskWhetherLater(record::Tablet other,
                                                                       Deadline deadline) {
  std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(other);
  if (manager == nullptr) co_return std::nullopt;
  agent::TabletStateRequest request;
  agent::TabletStateResponse state;
  Status answered = co_await manager->TabletState(request, state, deadline);
  bool leads = answered && state.tablet().type() == topodata::PRIMARY && !state.read_only() &&
               state.journal_term() > state_.primary_term;
  if (!leads) co_return std::nullopt;
  Result<gtid::Set> has = gtid::Set::ParseEncoded(state.executed_position());
  if (!has) co_return std::nullopt;
  co_return LaterLeader{other.alias, state.journal_term(), std::move(*has)};
}

io::Task<Status> Manager::ComeBackUnder(LaterLeader leader, bool held, Deadline deadline) {
  RejoinNeeds needs;
  needs.agent = needs_.agent;
  needs.replication = replication_.get();
  RejoinOrder order;
  order.term = leader.term;
  order.leader_has = std::move(leader.has);
  order.mysqld_held = held;
  order.drained = state_.demoted;
  Result<RejoinReport> report = co_await Rejoin(needs, std::move(order), deadline);
  if (!report) {
    if (report.error().code() == Code::kFailedPrecondition) {
      NeedSeed(report.error().message(), true);
    }
    co_return Fail(report.error());
  }
  // What it wrote as primary comes after where it followed its former source.
  Status forgotten = co_await ForgetLeftoverSource(deadline);
  if (!forgotten) co_return forgotten;
  LOG_INFO("comes back under {}, which leads term {}", leader.alias.ToString(), leader.term);
  // From here on it is nobody's primary, whatever happens before it follows.
  state_.primary_term = 0;
  state_.demoted = false;
  if (state_.promised_term < leader.term) {
    state_.promised_term = leader.term;
    state_.coordinator = "the term of " + leader.alias.ToString();
  }
  if (is_primary()) tablet_.type = options_.tablet.type;
  Status saved = co_await Save();
  if (!saved) co_return saved;
  // Or its next death would be held as a primary's. A rewind has told it already.
  Status role = co_await needs_.agent->SetRole(false, Deadline::In(5s));
  if (!role) LOG_WARNING("telling mysqlctld the role: {}", role.error().ToString());
  co_return Status();
}

// Whether another tablet of the shard has promised a later term than this one led: a failover may
// be under way that has not asked here.
io::Task<bool> Manager::LaterTermPromised(Deadline deadline) {
  if (state_.promised_term > state_.primary_term) co_return true;
  if (!needs_.call_tablet) co_return false;
  auto tablets =
      co_await needs_.topo->ListTabletsOfShard(tablet_.keyspace, tablet_.shard, deadline);
  if (!tablets) co_return false;
  for (const auto& stored : tablets->tablets) {
    if (stored.value.alias == tablet_.alias) continue;
    std::shared_ptr<port::TabletManager> manager = needs_.call_tablet(stored.value);
    if (manager == nullptr) continue;
    agent::TabletStateRequest request;
    agent::TabletStateResponse state;
    Status answered = co_await manager->TabletState(request, state, deadline);
    if (answered && state.promised_term() > state_.primary_term) co_return true;
  }
  co_return false;
}

// mysqld died as a primary and is held. Whoever leads later decides; where nobody asked for a term
// within a moment, it starts as it is and leads on.
io::Task<void> Manager::DecideHeld(Manager& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  Time began = self.loop_.Now();
  while (pass && !self.gate_.closed() && self.held_) {
    std::optional<LaterLeader> leader = co_await self.FindLaterLeader(Deadline::In(1s));
    if (leader) {
      // Alone: a Repoint between the restart and the end of its term would take the rewound mysqld
      // for one that leads, and kill it. Who has the turn waits for no rewind.
      Turn turn(self.action_);
      Status back = co_await turn.Take(Deadline::In(1s));
      if (back && !self.held_) break;
      if (back) back = co_await self.ComeBackUnder(std::move(*leader), true, Deadline::In(120s));
      if (back || !self.needs_seed_.empty()) break;
      LOG_WARNING("coming back: {}", back.error().ToString());
    }
    bool asked = co_await self.LaterTermPromised(Deadline::In(1s));
    Duration patience = asked ? self.options_.undecided_patience : self.options_.hold_patience;
    // Without its data it leads nothing.
    if (!leader && self.unusable_.empty() && self.loop_.Now() - began > patience) {
      LOG_INFO("nobody else leads: mysqld starts again as it is");
      Status kept = co_await self.needs_.agent->Keep(Deadline::In(60s));
      if (kept) break;
      LOG_WARNING("starting mysqld again: {}", kept.error().ToString());
    }
    bool open = co_await io::Sleep(self.gate_, Deadline::In(50ms));
    if (!open) break;
  }
  self.deciding_ = false;
  self.look_.Pulse();  // which takes up the role
}

}  // namespace paceline::vttablet
