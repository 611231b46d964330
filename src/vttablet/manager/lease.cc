#include "vttablet/manager/lease.h"

#include <algorithm>

#include "base/log.h"
#include "paceline_agent.pb.h"

namespace paceline::vttablet {
namespace {

using record::TabletAlias;

constexpr int kAskingMost = 3;       // requests to one tablet that have no answer yet
constexpr Duration kAnswer = 900ms;  // after which an answer would be worth nothing
// While it has none: a new primary serves as soon as its replicas have come to follow it.
constexpr Duration kAskAgain = 50ms;
constexpr Duration kRedial = 2s;  // without an answer: a connection that a cut has left behind

}  // namespace

Lease::Lease(io::Loop& loop, TabletAlias self, Needs needs)
    : loop_(loop),
      self_(std::move(self)),
      needs_(std::move(needs)),
      lapses_(Metrics::Process().AddCounter("LeaseLapses",
                                            "times that this primary's lease ended for a while")),
      renewal_ns_(Metrics::Process()
                      .AddTimings("LeaseGrants", "how long a grant of a replica took", {"Answer"})
                      .With({"granted"})) {}

void Lease::SetMembers(const std::vector<LeaseMember>& members) {
  if (members == members_) return;
  members_ = members;
  std::map<TabletAlias, std::shared_ptr<Peer>> peers;
  for (const LeaseMember& member : members_) {
    if (member.alias == self_ || member.grpc_port == 0) continue;
    std::shared_ptr<Peer>& peer = peers[member.alias];
    auto known = peers_.find(member.alias);
    if (known != peers_.end() && known->second->member == member) {
      peer = known->second;
    } else {
      peer = std::make_shared<Peer>();
      peer->member = member;
    }
  }
  peers_ = std::move(peers);
  if (book_.leased()) ask_now_.Pulse();
}

void Lease::Lead(uint64_t term, uint32_t acknowledgements) {
  bool news = book_.term() != term || book_.needed() != acknowledgements;
  if (book_.term() != term) held_ = false;
  book_.Lead(term, acknowledgements);
  if (!news) return;
  asked_at_ = Time{0};
  Judge();
  ask_now_.Pulse();
}

void Lease::Follow() {
  book_.Follow();
  holds_ = false;
  told_ = true;
  needs_.moved(Time{0});
}

std::string Lease::WhyNot() const {
  if (Holds()) return {};
  return fmt::format("its lease has ended: {} of {} replicas grant it", book_.Standing(loop_.Now()),
                     book_.needed());
}

// What the lease is worth now, told where it changes.
void Lease::Judge() {
  if (!book_.leads()) return;
  needs_.moved(book_.Until());
  holds_ = book_.Holds(loop_.Now());
  if (holds_ == told_) return;
  told_ = holds_;
  if (!holds_ && held_) {
    lapses_.Add();
    LOG_WARNING("{} serves nothing: {}", self_.ToString(), WhyNot());
  } else if (holds_) {
    held_ = book_.leased();
    LOG_INFO("{} has its lease in term {}", self_.ToString(), book_.term());
  }
  needs_.changed();
}

void Lease::AskAll(io::Gate& gate) {
  asked_at_ = loop_.Now();
  if (!needs_.call_tablet) return;
  for (const auto& [alias, peer] : peers_) {
    if (peer->asking >= kAskingMost) continue;
    bool stale = peer->manager != nullptr && asked_at_ - peer->answered_at > kRedial;
    if (peer->manager == nullptr || stale) {
      const LeaseMember& member = peer->member;
      record::Tablet tablet;
      tablet.alias = member.alias;
      tablet.hostname = member.hostname;
      tablet.port_map["grpc"] = member.grpc_port;
      peer->manager = needs_.call_tablet(tablet);
      peer->answered_at = asked_at_;
    }
    if (peer->manager != nullptr) io::Detach(Ask(*this, gate, peer));
  }
}

io::Task<void> Lease::Ask(Lease& self, io::Gate& gate, std::shared_ptr<Peer> peer) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  if (!pass) co_return;
  std::shared_ptr<port::TabletManager> manager = peer->manager;
  uint64_t term = self.book_.term();
  agent::GrantRequest request;
  agent::GrantResponse response;
  request.mutable_primary()->set_cell(self.self_.cell);
  request.mutable_primary()->set_uid(self.self_.uid);
  request.set_term(term);
  for (const LeaseMember& member : self.members_) {
    agent::LeaseMember* to = request.add_members();
    to->mutable_alias()->set_cell(member.alias.cell);
    to->mutable_alias()->set_uid(member.alias.uid);
    to->set_hostname(member.hostname);
    to->set_grpc_port(member.grpc_port);
    to->set_acknowledges(member.acknowledges);
  }
  // Before it is sent: the replica counts from when it receives it, which is later.
  Time asked_at = self.loop_.Now();
  ++peer->asking;
  Status granted = co_await manager->Grant(request, response, Deadline::At(asked_at + kAnswer));
  --peer->asking;
  Time now = self.loop_.Now();
  bool answered = granted || (granted.error().code() != Code::kUnavailable &&
                              granted.error().code() != Code::kDeadlineExceeded);
  if (answered) peer->answered_at = now;
  // Vitess's tablets know nothing of this, and can be fenced by no term either: none of them can
  // help a successor to open.
  bool foreign = !granted && granted.error().code() == Code::kUnimplemented;
  if (!granted && !(foreign && peer->member.acknowledges)) co_return;
  self.renewal_ns_.Observe(now - asked_at);
  self.book_.Granted(term, peer->member.alias, asked_at);
  self.Judge();
}

io::Task<void> Lease::Loop(Lease& self, io::Gate& gate) {
  std::optional<io::Gate::Pass> pass = gate.Enter();
  while (pass && !gate.closed()) {
    Time now = self.loop_.Now();
    Time next = now + reparent::kGrantEvery;
    if (self.book_.leased()) {
      self.Judge();
      Duration every = self.holds_ ? reparent::kGrantEvery : kAskAgain;
      if (now >= self.asked_at_ + every) self.AskAll(gate);
      next = self.asked_at_ + every;
      if (self.holds_) next = std::min(next, self.book_.Until());
    }
    bool woken = co_await self.ask_now_.Wait(Deadline::At(std::max(next, now + 1ms)));
    (void)woken;
  }
}

}  // namespace paceline::vttablet
