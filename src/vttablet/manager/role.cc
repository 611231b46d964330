// How a tablet takes up, changes and gives up its role.
#include "base/log.h"
#include "paceline_agent.pb.h"
#include "vttablet/manager/manager.h"
#include "vttablet/manager/sidecar.h"
#include "vttablet/manager/turn.h"

namespace paceline::vttablet {

using record::TabletType;

io::Task<Status> Manager::TakeUpRole(Deadline deadline) {
  // What a topology that does not answer takes must leave time for the server.
  const Duration patience = state_.leader.empty() ? 3s : 1s;
  auto shard = co_await needs_.topo->GetShard(tablet_.keyspace, tablet_.shard,
                                              Deadline::In(patience).EarlierOf(deadline));
  if (shard) {
    shard_ = shard->value;
  } else if (Result<record::TabletAlias> leader = record::ParseTabletAlias(state_.leader);
             leader && shard_.primary_alias.empty()) {
    shard_.primary_alias = *leader;
    shard_.primary_term_start.unix_ns = state_.leader_term_start_ns;
  }
  bool recorded_as_primary = shard_.primary_alias == tablet_.alias;
  bool led_last = state_.primary_term != 0 && state_.primary_term == state_.promised_term;
  // A record older than our own term only means that the promotion was not published: whoever else
  // had been promoted since would hold the acknowledgements that ResumePrimary waits for.
  bool record_is_older = shard_.primary_term_start.unix_ns < state_.primary_term_start_ns;
  if (led_last && (recorded_as_primary || record_is_older || !shard)) {
    Status resumed = co_await ResumePrimary(deadline);
    co_return resumed;
  }
  if (tablet_.type == TabletType::kPrimary) tablet_.type = options_.tablet.type;
  if (state_.fenced) {
    role_known_ = true;  // waits for the Repoint of its term; reads go on
    ShowServing();
    co_return Status();
  }
  if (!shard_.primary_alias.empty() && !recorded_as_primary) {
    if (state_.primary_term != 0 && needs_.agent != nullptr) {
      // It led when it was last seen, and its mysqld lives on.
      std::optional<LaterLeader> leader = co_await FindLaterLeader(Deadline::In(2s));
      if (!leader) {
        co_return Fail(Code::kUnavailable, "{} is said to lead, and does not say so itself",
                       shard_.primary_alias.ToString());
      }
      // A rewind is not cut short.
      Status back = co_await ComeBackUnder(std::move(*leader), false, Deadline::In(60s));
      if (!back) co_return back;
    }
    record::TabletAlias leader = co_await WhomToFollow(Deadline::In(2s).EarlierOf(deadline));
    Status replica =
        co_await BecomeReplicaOf(leader, !state_.replication_stopped, std::nullopt, deadline);
    if (replica) role_known_ = true;
    ShowServing();
    co_return replica;
  }
  // Nobody leads, as far as the record tells. Sessions of a promotion that was never published may
  // wait for an acknowledgement, and then this cannot be had; nothing is served meanwhile, and the
  // next reparent takes it from here.
  Status safe = co_await replication_->SetReadOnly(true, Deadline::In(3s).EarlierOf(deadline));
  if (!safe) LOG_WARNING("staying as it is until the next reparent: {}", safe.error().ToString());
  role_known_ = true;
  ShowServing();
  co_return Status();
}

io::Task<Status> Manager::ResumePrimary(Deadline deadline) {
  LOG_INFO("resuming as primary of term {}", state_.primary_term);
  Status forgotten = co_await ForgetLeftoverSource(deadline);
  if (!forgotten) co_return forgotten;
  if (needs_.agent != nullptr) {
    // A promotion that was cut short may not have come to it.
    Status role = co_await needs_.agent->SetRole(true, Deadline::In(5s).EarlierOf(deadline));
    if (!role) co_return Fail(role.error().Context("telling mysqlctld the role"));
  }
  // Not for the whole deadline: with the topology away the primary resumes all the same.
  Result<uint32_t> acks = co_await AcknowledgementsWanted(Deadline::In(3s).EarlierOf(deadline));
  uint32_t wanted = acks && !state_.forced_alone ? *acks : state_.acknowledgements;
  Status semi_sync = co_await ChangeAcknowledgements(wanted, deadline);
  // Where sessions wait, the status loop tries again; the rest of the role does not hang on it.
  if (!semi_sync && semi_sync.error().code() != Code::kFailedPrecondition) co_return semi_sync;
  tablet_.type = TabletType::kPrimary;
  tablet_.primary_term_start = {state_.primary_term_start_ns};
  UpdateLease();
  if (state_.demoted) {
    // Undoing a demotion opens mysqld before it is remembered.
    Status closed = co_await replication_->SetReadOnly(true, Deadline::In(3s).EarlierOf(deadline));
    if (!closed) co_return closed;
    role_known_ = true;
    ShowServing();
    co_return Status();
  }
  Status writable = co_await replication_->SetReadOnly(false, deadline);
  if (!writable) co_return writable;
  // Recovery may have committed transactions that nobody acknowledged. A commit that is
  // acknowledged now comes after them in the binary log, so its acknowledgement is theirs too; only
  // then are reads served.
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  JournalEntry entry;
  entry.term = state_.primary_term;
  entry.action = "Resume";
  entry.primary_alias = tablet_.alias.ToString();
  if (position) entry.position = position->ToEncoded();
  entry.created_ns = loop_.clock().WallNow().unix_ns;
  health_error_.clear();
  preparation_.Forget();  // that of an earlier promotion
  ConfirmSoon(std::move(entry));
  co_return Status();
}

io::Task<Result<reparent::Durability>> Manager::DurabilityPolicy(Deadline deadline) {
  auto keyspace = co_await needs_.topo->GetKeyspace(tablet_.keyspace, deadline);
  if (!keyspace) co_return Fail(keyspace.error());
  co_return reparent::ParseDurability(keyspace->value.durability_policy);
}

io::Task<Result<uint32_t>> Manager::AcknowledgementsWanted(Deadline deadline) {
  Result<reparent::Durability> policy = co_await DurabilityPolicy(deadline);
  if (!policy) co_return Fail(policy.error());
  auto tablets =
      co_await needs_.topo->ListTabletsOfShard(tablet_.keyspace, tablet_.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  if (!tablets->failed_cells.empty()) co_return Fail(tablets->failed_cells.begin()->second);
  std::vector<reparent::Member> members;
  std::vector<LeaseMember> places;
  reparent::Member me{tablet_.alias, TabletType::kPrimary};
  for (const auto& stored : tablets->tablets) {
    const record::Tablet& tablet = stored.value;
    members.push_back({tablet.alias, tablet.type});
    bool acknowledges = reparent::MayAcknowledge(*policy, me, members.back());
    places.push_back({tablet.alias, tablet.hostname, tablet.Port("grpc"), acknowledges});
  }
  size_t ackers = reparent::PossibleAckers(*policy, me, members).size();
  if (places != state_.members) {
    state_.members = places;
    lease_.SetMembers(places);
    Status saved = co_await Save();
    if (!saved) co_return Fail(saved.error());
  }
  co_return reparent::AcksRequired(*policy, replication_->flavor().gtid_flavor(), ackers);
}

io::Task<Result<bool>> Manager::MayAcknowledgeFor(record::TabletAlias primary, Deadline deadline) {
  Result<reparent::Durability> policy = co_await DurabilityPolicy(deadline);
  if (!policy) co_return Fail(policy.error());
  reparent::Member leader{primary, TabletType::kPrimary};
  reparent::Member me{tablet_.alias,
                      tablet_.type == TabletType::kPrimary ? TabletType::kReplica : tablet_.type};
  co_return reparent::MayAcknowledge(*policy, leader, me);
}

// Its word, not its record: a replica whose machine is gone acknowledges nothing.
io::Task<bool> Manager::AcknowledgesTo(record::Tablet other, record::Tablet leader,
                                       Deadline deadline) {
  std::shared_ptr<port::TabletManager> manager;
  if (needs_.call_tablet) manager = needs_.call_tablet(other);
  if (manager == nullptr) co_return false;
  agent::TabletStateRequest request;
  agent::TabletStateResponse state;
  Status answered = co_await manager->TabletState(request, state, deadline);
  // Of Vitess's tablets the record is all that is known.
  if (!answered) co_return answered.error().code() == Code::kUnimplemented;
  co_return state.io_running() && state.semi_sync_replica() &&
      state.source_host() == leader.mysql_hostname&& state.source_port() == leader.mysql_port;
}

io::Task<Status> Manager::RefuseIfLastAcker(TabletType type, Deadline deadline) {
  Result<reparent::Durability> policy = co_await DurabilityPolicy(deadline);
  if (!policy) co_return Fail(policy.error());
  const reparent::Member leader{shard_.primary_alias, TabletType::kPrimary};
  const bool now = reparent::MayAcknowledge(*policy, leader, {tablet_.alias, tablet_.type});
  const bool then = reparent::MayAcknowledge(*policy, leader, {tablet_.alias, type});
  if (leader.alias.empty() || !now || then) co_return Status();
  auto tablets =
      co_await needs_.topo->ListTabletsOfShard(tablet_.keyspace, tablet_.shard, deadline);
  if (!tablets) co_return Fail(tablets.error());
  record::Tablet primary;
  for (const auto& stored : tablets->tablets) {
    if (stored.value.alias == leader.alias) primary = stored.value;
  }
  std::string others;
  for (const auto& stored : tablets->tablets) {
    const record::Tablet& other = stored.value;
    bool may = other.alias != tablet_.alias &&
               reparent::MayAcknowledge(*policy, leader, {other.alias, other.type});
    if (!may) continue;
    bool does = co_await AcknowledgesTo(other, primary, Deadline::In(2s).EarlierOf(deadline));
    if (does) co_return Status();
    others += (others.empty() ? "" : ", ") + other.alias.ToString();
  }
  if (!tablets->failed_cells.empty()) {
    const auto& [cell, error] = *tablets->failed_cells.begin();
    co_return Fail(error.Context("looking for others that acknowledge, in cell " + cell));
  }
  co_return Fail(
      Code::kFailedPrecondition,
      "{} is the last tablet of {}/{} that acknowledges commits of {}, as {} it could "
      "not: writes would be on one machine alone{}. Make another tablet a REPLICA first, "
      "or run SetKeyspaceDurabilityPolicy --durability-policy=none {}",
      tablet_.alias.ToString(), tablet_.keyspace, tablet_.shard, leader.alias.ToString(),
      record::TabletTypeName(type),
      others.empty() ? "" : " (" + others + " could, and does not now)", tablet_.keyspace);
}

io::Task<Status> Manager::BecomeReplicaOf(record::TabletAlias primary, bool start,
                                          std::optional<bool> semi_sync, Deadline deadline) {
  if (!needs_seed_.empty()) co_return Fail(Code::kUnavailable, "{}", needs_seed_);
  if (needs_.agent != nullptr) {
    Result<std::string> why = co_await WhyNotFromTheBeginning(primary, deadline);
    if (!why) co_return Fail(why.error());
    if (!why->empty()) {
      NeedSeed(*why, false);
      co_return Fail(Code::kUnavailable, "{}", *why);
    }
  }
  mysqld::SourceOptions options = options_.replication;
  bool remembered = state_.leader == primary.ToString() && state_.leader_port != 0;
  Deadline patience = remembered ? Deadline::In(2s).EarlierOf(deadline) : deadline;
  Result<topo::Stored<record::Tablet>> source = Fail(Code::kUnavailable, "not asked");
  bool told = told_address_.port != 0;
  if (!told) source = co_await needs_.topo->GetTablet(primary, patience);
  if (told) {
    options.host = told_address_.host;
    options.port = static_cast<uint16_t>(told_address_.port);
  } else if (source && source->value.mysql_port != 0) {
    options.host = source->value.mysql_hostname;
    options.port = static_cast<uint16_t>(source->value.mysql_port);
  } else if (remembered && (source || source.error().code() != Code::kNotFound)) {
    options.host = state_.leader_host;
    options.port = static_cast<uint16_t>(state_.leader_port);
  } else if (!source) {
    co_return Fail(source.error().Context("finding the primary"));
  } else {
    co_return Fail(Code::kFailedPrecondition, "the record of {} has no MySQL address yet",
                   primary.ToString());
  }
  bool acknowledges = state_.acknowledges;
  if (semi_sync) {
    acknowledges = *semi_sync;
  } else {
    Result<bool> may = co_await MayAcknowledgeFor(primary, patience);
    if (!may && !remembered) co_return Fail(may.error());
    if (may) acknowledges = *may;
  }
  if (state_.primary_term != 0 && !state_.demoted && needs_.agent != nullptr) {
    // Not drained: its sessions may wait for an acknowledgement, and would be released. Also where
    // it has not taken up that role again: what it has, and nobody else, is still in its log.
    role_known_ = false;
    Status killed = co_await needs_.agent->Kill(Deadline::In(5s).EarlierOf(deadline));
    if (!killed) co_return killed;
    co_return Fail(Code::kUnavailable, "{} led a term; its mysqld comes back rewound",
                   tablet_.alias.ToString());
  }
  Status read_only = co_await replication_->SetReadOnly(true, deadline);
  if (!read_only) co_return read_only;
  // By what is remembered too: an applier would wait for acknowledgements without end.
  if (is_primary() || acknowledgements_ > 0 || state_.acknowledgements > 0) {
    Status off = co_await replication_->SetSemiSyncSource(false, 1, deadline);
    if (!off) co_return off;
    acknowledgements_ = state_.acknowledgements = 0;
    Status quiet = co_await replication_->StopEvents(deadline);
    if (!quiet) LOG_WARNING("{}", quiet.error().ToString());
  }
  Result<std::optional<mysqld::ReplicationStatus>> now = co_await replication_->Replica(deadline);
  if (now && *now && (is_primary() || state_.demoted || state_.primary_term != 0)) {
    // It has written since it followed that one: where it would go on from there is not where it
    // stands.
    Status forgotten = co_await replication_->ForgetSource(deadline);
    if (!forgotten) co_return forgotten;
    now->reset();
  }
  bool same_source = now && *now && (**now).source_host == options.host &&
                     (**now).source_port == options.port && (**now).auto_position;
  Status acking = co_await replication_->SetSemiSyncReplica(
      acknowledges, same_source && (**now).running(), deadline);
  if (!acking) co_return acking;
  if (!same_source) {
    Status set = co_await replication_->SetSource(options, deadline);
    if (!set) co_return set;
  }
  if (!state_.restored.empty()) start = false;  // a reparent does not move it from its point
  if (start) {
    Status started = co_await replication_->Start(deadline);
    if (!started) co_return started;
  }
  tablet_.type = is_primary() ? TabletType::kReplica : tablet_.type;
  if (options_.tablet.type != TabletType::kPrimary && state_.primary_term != 0)
    tablet_.type = options_.tablet.type;
  tablet_.primary_term_start = {};
  bool was_leader = state_.primary_term != 0 || state_.demoted;
  state_.primary_term = 0;
  state_.demoted = false;
  state_.fenced = false;  // no sooner: mysqld may have followed whom it was fenced from
  state_.replication_stopped = !start;
  state_.leader = primary.ToString();
  if (shard_.primary_alias == primary) {
    state_.leader_term_start_ns = shard_.primary_term_start.unix_ns;
  }
  state_.leader_host = options.host;
  state_.leader_port = options.port;
  state_.acknowledges = acknowledges;
  Status saved = co_await Save();
  if (!saved) co_return saved;
  if (needs_.agent != nullptr && was_leader) {
    Status role = co_await needs_.agent->SetRole(false, Deadline::In(5s));
    if (!role) LOG_WARNING("telling mysqlctld the role: {}", role.error().ToString());
  }
  shard_.primary_alias = primary;
  role_known_ = true;
  lag_ = start ? std::optional<Duration>(Duration(0)) : std::nullopt;
  health_error_.clear();
  ShowServing();
  PublishTypeSoon();
  co_return Status();
}

// The record may be older than what a term has told: replication is started only from the primary
// of the promised term, and another one has to say itself that it leads such a term.
io::Task<record::TabletAlias> Manager::WhomToFollow(Deadline deadline) {
  record::TabletAlias recorded = shard_.primary_alias;
  Result<record::TabletAlias> told = record::ParseTabletAlias(state_.leader);
  if (!told || *told == recorded || *told == tablet_.alias || !needs_.call_tablet)
    co_return recorded;
  if (recorded.empty()) co_return *told;
  auto tablet = co_await needs_.topo->GetTablet(recorded, deadline);
  std::shared_ptr<port::TabletManager> manager;
  if (tablet) manager = needs_.call_tablet(tablet->value);
  if (manager == nullptr) co_return *told;
  agent::TabletStateRequest request;
  agent::TabletStateResponse state;
  Status answered = co_await manager->TabletState(request, state, deadline);
  bool leads = answered && state.tablet().type() == topodata::PRIMARY && !state.read_only() &&
               state.journal_term() >= state_.promised_term;
  // Vitess's tablets know of no terms.
  bool foreign = !answered && answered.error().code() == Code::kUnimplemented;
  if (!leads && !foreign) co_return *told;
  co_return recorded;
}

io::Task<Status> Manager::FollowAddress(std::string host, uint16_t port) {
  // A reparent waits for its turn meanwhile, also while the topology is away.
  record::TabletAlias primary = co_await WhomToFollow(Deadline::In(200ms));
  if (primary.empty()) co_return Status();
  auto recorded = co_await needs_.topo->GetTablet(primary, Deadline::In(200ms));
  if (!recorded) co_return Fail(recorded.error().Context("finding the primary"));
  const record::Tablet& now = recorded->value;
  if (now.mysql_port == 0 || (now.mysql_hostname == host && now.mysql_port == port))
    co_return Status();
  LOG_INFO("{} is at {}:{} now, no longer at {}:{}", primary.ToString(), now.mysql_hostname,
           now.mysql_port, host, port);
  Status followed = co_await BecomeReplicaOf(primary, true, std::nullopt, Deadline::In(10s));
  co_return followed;
}

io::Task<Status> Manager::SetAcknowledgements(uint32_t count, Deadline deadline) {
  if (state_.acknowledgements != count) {
    state_.acknowledgements = count;
    Status saved = co_await Save();
    if (!saved) co_return saved;
  }
  Status set = co_await replication_->SetSemiSyncSource(count > 0, count, deadline);
  if (set) acknowledgements_ = count;
  UpdateLease();
  co_return set;
}

io::Task<Status> Manager::ChangeAcknowledgements(uint32_t count, Deadline deadline) {
  Result<mysqld::SemiSyncStatus> now = co_await replication_->GetSemiSync(deadline);
  if (!now) co_return Fail(now.error());
  const uint32_t in_force = now->source_enabled ? now->acks_required : 0;
  if (count < in_force && now->waiting_sessions > 0) {
    acknowledgements_ = in_force;
    UpdateLease();
    co_return Fail(Code::kFailedPrecondition,
                   "{}: {} sessions wait for {} acknowledgements of their commits, and would be "
                   "told that they have them if {} were enough: attach a replica",
                   tablet_.alias.ToString(), now->waiting_sessions, in_force, count);
  }
  Status set = co_await SetAcknowledgements(count, deadline);
  co_return set;
}

io::Task<Status> Manager::BecomePrimary(const agent::PromoteRequest& request, bool wait_for_ackers,
                                        Deadline deadline) {
  const uint64_t term = request.term();
  const uint32_t acknowledgements = request.acknowledgements();
  Status stopped = co_await replication_->StopUnlessIdle(request.drained(), deadline);
  if (!stopped) co_return stopped;
  Status replica_off = co_await replication_->SetSemiSyncReplica(false, false, deadline);
  if (!replica_off) co_return replica_off;
  Status semi_sync = co_await SetAcknowledgements(acknowledgements, deadline);
  if (!semi_sync) co_return semi_sync;
  Result<gtid::Set> position = co_await replication_->Position(deadline);
  if (!position) co_return Fail(position.error());
  Status still = StillLeads(term);
  if (!still) co_return still;
  // From here on a crash must find this tablet as the leader of its term.
  int64_t now = loop_.clock().WallNow().unix_ns;
  state_.primary_term = term;
  state_.forced_alone = false;
  if (acknowledgements == 0) {
    Result<uint32_t> wanted = co_await AcknowledgementsWanted(Deadline::In(2s).EarlierOf(deadline));
    state_.forced_alone = wanted && *wanted > 0;
  }
  state_.primary_term_start_ns = now;
  state_.demoted = false;
  state_.fenced = false;
  state_.replication_stopped = false;
  state_.leader = tablet_.alias.ToString();
  state_.leader_term_start_ns = now;
  Status saved, role;
  io::Together both;
  both.Start(Save(), saved);
  if (needs_.agent != nullptr) both.Start(needs_.agent->SetRole(true, Deadline::In(10s)), role);
  co_await both.Wait();
  if (!saved) co_return saved;
  if (!role) co_return Fail(role.error().Context("telling mysqlctld the role"));
  still = StillLeads(term);
  if (!still) co_return still;
  // Writable for this tablet's own rows first; clients come when those are acknowledged.
  Status writable = co_await replication_->SetReadOnly(false, deadline);
  if (!writable) co_return writable;
  tablet_.type = TabletType::kPrimary;
  tablet_.primary_term_start = {now};
  role_known_ = false;
  UpdateLease();  // asked for while the first rows are on their way
  lag_.reset();
  health_error_.clear();
  JournalEntry entry{term, request.action(), tablet_.alias.ToString(), position->ToEncoded(), now};
  if (wait_for_ackers) {
    Status confirmed = co_await ConfirmPrimary(std::move(entry), deadline);
    if (confirmed) co_await FinishPromotion(term, deadline);
    co_return confirmed;
  }
  // Vitess's coordinators attach the replicas only after this call has answered.
  ConfirmSoon(std::move(entry));
  co_return Status();
}

void Manager::ConfirmSoon(JournalEntry entry) {
  confirming_ = true;
  io::Detach(ConfirmLater(*this, std::move(entry)));
}

io::Task<void> Manager::ConfirmLater(Manager& self, JournalEntry entry) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (!pass) co_return;
  const bool resumes = entry.action == "Resume";
  const uint64_t term = entry.term;
  Status confirmed = co_await self.ConfirmPrimary(std::move(entry), Deadline::In(60s));
  self.confirming_ = false;
  self.TellRoleError(confirmed);
  if (confirmed) {
    Turn turn(self.action_);
    confirmed = co_await turn.Take(Deadline::In(60s));
    if (confirmed) co_await self.FinishPromotion(term, Deadline::In(60s));
  }
  // Which Vitess leaves to the tablet.
  if (confirmed && !resumes) confirmed = co_await self.PublishShard(Deadline::In(10s));
  if (!confirmed) LOG_WARNING("becoming primary: {}", confirmed.error().ToString());
}

io::Task<Status> Manager::ConfirmPrimary(JournalEntry entry, Deadline deadline) {
  uint64_t term = entry.term;
  std::string position = entry.position;
  co_await preparation_.reading.Wait();
  if (!preparation_.database_complete) {
    Status sidecar = co_await CreateSidecar(*needs_.dba, options_.sidecar, deadline);
    if (!sidecar) co_return sidecar;
    Status made = co_await CreateDatabase(*needs_.dba, tablet_.DbName(), deadline);
    if (!made) co_return made;
  }
  std::vector<std::string> evidence = EvidenceOf(entry);
  Status journaled = co_await WriteJournal(*needs_.dba, options_.sidecar, std::move(entry),
                                           std::move(evidence), deadline);
  if (!journaled) co_return journaled;
  Status still = StillLeads(term);
  if (!still) co_return still;
  if (state_.primary_term != term || !is_primary()) {
    co_return Fail(Code::kAborted, "term {} was over before it was confirmed", term);
  }
  role_known_ = true;
  position_.clear();
  co_await LookAtPosition();
  ShowServing();
  PublishTypeSoon();
  LOG_INFO("primary of term {} from {}", term, position);
  co_await NoteConfirmed();
  co_return Status();
}

io::Task<Status> Manager::ForgetLeftoverSource(Deadline deadline) {
  Result<std::optional<mysqld::ReplicationStatus>> source =
      co_await replication_->Replica(deadline);
  Status forgotten;
  if (source && *source) forgotten = co_await replication_->ForgetSource(deadline);
  co_return forgotten;
}

// What clients need not wait for. Where it fails vtorc sees a primary with a source, and whoever
// takes up the role again forgets it too.
io::Task<void> Manager::FinishPromotion(uint64_t term, Deadline deadline) {
  bool leads = StillLeads(term) && state_.primary_term == term && is_primary() && !state_.demoted;
  if (!leads) co_return;
  Status forgotten = co_await ForgetLeftoverSource(deadline);
  if (!forgotten) LOG_WARNING("{}", forgotten.error().ToString());
  Status events = co_await replication_->EnableEvents(deadline);
  if (!events) LOG_WARNING("enabling events: {}", events.error().ToString());
}

io::Task<Status> Manager::StopServing(std::string reason, Deadline grace) {
  bool clean = co_await needs_.query->Drain(grace);
  if (!clean) LOG_WARNING("statements were killed to end serving: {}", reason);
  serving_ = false;
  why_not_ = reason;
  needs_.query->SetServing(tablet_.type, false, reason, state_.promised_term, false);
  TellHealth();
  co_return Status();
}

// A later term may have been promised while a promotion was waiting: it must open nothing then.
Status Manager::StillLeads(uint64_t term) const {
  if (state_.promised_term <= term) return {};
  return Fail(Code::kAborted, "term {} is over: {} has promised term {} to {}", term,
              tablet_.alias.ToString(), state_.promised_term, state_.coordinator);
}

// Somebody else leads a later term. Where no demotion drained it, sessions here may wait for an
// acknowledgement: they must not be released, so mysqld is killed and comes back rewound.
io::Task<Status> Manager::StepDown(LaterLeader leader, Deadline deadline) {
  serving_ = false;
  needs_.query->SetServing(tablet_.type, false, "another tablet leads this shard",
                           state_.promised_term, false);
  TellHealth();
  if (needs_.agent != nullptr && !state_.demoted) {
    role_known_ = false;
    Status killed = co_await needs_.agent->Kill(deadline);
    co_return killed;  // DecideHeld takes it from here
  }
  const record::TabletAlias alias = leader.alias;
  if (needs_.agent != nullptr) {
    // It may hold what its successor lacks, and is rewound then.
    Status back = co_await ComeBackUnder(std::move(leader), false, deadline);
    if (!back) co_return back;
  } else {
    state_.demoted = true;
    Status saved = co_await Save();
    if (!saved) co_return saved;
    Status read_only = co_await replication_->SetReadOnly(true, deadline);
    if (!read_only) co_return read_only;
  }
  Status replica = co_await BecomeReplicaOf(alias, true, std::nullopt, deadline);
  co_return replica;
}

io::Task<void> Manager::NoteConfirmed() {
  if (needs_.agent == nullptr) co_return;
  port::SemiSyncNote note;
  note.confirmed = true;
  Status noted = co_await needs_.agent->NoteSemiSync(note, Deadline::In(5s));
  if (!noted) LOG_WARNING("noting that all is acknowledged: {}", noted.error().ToString());
}

}  // namespace paceline::vttablet
