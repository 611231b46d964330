#include "reparent/model.h"

#include <bit>

namespace paceline::reparent::model {
namespace {

std::vector<TabletAlias> TargetsOf(const Step& step) {
  if (auto* s = std::get_if<PromiseTerm>(&step)) return s->tablets;
  if (auto* s = std::get_if<Fence>(&step)) return s->tablets;
  if (auto* s = std::get_if<Demote>(&step)) return {s->tablet};
  if (auto* s = std::get_if<UndoDemote>(&step)) return {s->tablet};
  if (auto* s = std::get_if<WaitForPosition>(&step)) return {s->tablet};
  if (auto* s = std::get_if<Promote>(&step)) return {s->tablet};
  if (auto* s = std::get_if<Publish>(&step)) return {s->primary};
  std::vector<TabletAlias> targets;
  if (auto* s = std::get_if<Repoint>(&step)) {
    for (const Repoint::Replica& replica : s->replicas) targets.push_back(replica.tablet);
  }
  return targets;
}

}  // namespace

std::string_view BugName(Bug bug) {
  switch (bug) {
    case Bug::kNone:
      return "none";
    case Bug::kSkipFence:
      return "skip the fence";
    case Bug::kPromoteMostLagging:
      return "promote the most lagging";
    case Bug::kPublishBeforeWritable:
      return "publish before writable";
    case Bug::kSameTermTwice:
      return "two coordinators with the same term";
    case Bug::kGrantFromAnswer:
      return "a grant counted from its answer";
    case Bug::kPromiseForgotten:
      return "a promise forgotten by a restart";
    case Bug::kWaitersReleased:
      return "waiters released";
    case Bug::kSequenceAlone:
      return "MariaDB sets compared by sequence alone";
  }
  return "";
}

TabletAlias World::Alias(int tablet) {
  return tablet < 0 ? TabletAlias{} : TabletAlias{"zone1", static_cast<uint32_t>(100 + tablet)};
}

World::World(int tablets, std::vector<Request> requests) : tabs(static_cast<size_t>(tablets)) {
  transactions.push_back({1, 0, 1});
  opened.push_back({1, 0});
  for (Tab& tab : tabs) {
    tab.received = tab.executed = 1;
    tab.source = 0;
    tab.io = tab.semi_sync = true;
  }
  Tab& primary = tabs[0];
  primary.source = -1;
  primary.leads = true;
  primary.read_only = primary.io = primary.semi_sync = false;
  primary.lead_term = 1;
  primary.acks = static_cast<uint32_t>(tablets / 2);
  for (Request& request : requests) {
    coordinators.emplace_back();
    coordinators.back().request = std::move(request);
  }
  GiveGrants();
}

uint64_t World::NewestSequence(uint32_t bits) const {
  uint64_t newest = 0;
  for (size_t i = 0; i < transactions.size(); ++i) {
    if (bits >> i & 1) newest = std::max(newest, transactions[i].sequence);
  }
  return newest;
}

gtid::Set World::SetOf(uint32_t bits) const {
  gtid::Set set(flavor);
  gtid::Source source;
  source.id[0] = 1;
  if (bug == Bug::kSequenceAlone && bits != 0) {
    set.Add({gtid::Source::Mariadb(0, 1), NewestSequence(bits)});
    return set;
  }
  for (size_t i = 0; i < transactions.size(); ++i) {
    if (!(bits >> i & 1)) continue;
    const Journal& one = transactions[i];
    if (flavor == gtid::Flavor::kMariadb) {
      set.Add({gtid::Source::Mariadb(0, static_cast<uint32_t>(one.tablet + 1)), one.sequence});
    } else {
      set.Add(source, {i + 1, i + 1});
    }
  }
  return set;
}

bool World::Holds(uint32_t bits, const gtid::Set& set) const { return SetOf(bits).Contains(set); }

uint32_t World::ClientWrites(uint32_t bits) const {
  for (size_t i = 0; i < transactions.size(); ++i) {
    if (transactions[i].term != 0) bits &= ~(1u << i);
  }
  return bits;
}

// --- the lease
bool World::Serves(const Tab& tab) const {
  bool leads = tab.up && tab.mysqld && tab.leads && tab.serving && !tab.read_only;
  return leads && static_cast<uint32_t>(std::popcount(tab.lease)) >= tab.acks;
}

bool World::Grants(int replica, int primary) const {
  const Tab& from = tabs[static_cast<size_t>(replica)];
  const Tab& to = tabs[static_cast<size_t>(primary)];
  return from.up && !from.fenced && !from.leads && from.semi_sync && from.source == primary &&
         to.up && to.mysqld && to.leads && !to.demoted;
}

void World::GiveGrants() {
  for (int to = 0; to < static_cast<int>(tabs.size()); ++to) {
    for (int from = 0; from < static_cast<int>(tabs.size()); ++from) {
      if (!Grants(from, to)) continue;
      tabs[static_cast<size_t>(from)].grants |= 1u << to;
      tabs[static_cast<size_t>(to)].lease |= 1u << from;
    }
  }
}

void World::LetGrantsRunOut() {
  for (int to = 0; to < static_cast<int>(tabs.size()); ++to) {
    for (int from = 0; from < static_cast<int>(tabs.size()); ++from) {
      if (Grants(from, to)) continue;
      tabs[static_cast<size_t>(from)].grants &= ~(1u << to);
      if (bug != Bug::kGrantFromAnswer) tabs[static_cast<size_t>(to)].lease &= ~(1u << from);
    }
  }
}

World::Journal World::NewestJournal(uint32_t executed) const {
  Journal newest{0, -1};
  for (size_t i = 0; i < transactions.size(); ++i) {
    if ((executed >> i & 1) && transactions[i].term > newest.term) newest = transactions[i];
  }
  return newest;
}

View World::Look() const {
  View view;
  view.shard = {"ks", "0"};
  view.durability = durability;
  view.flavor = flavor;
  view.shard_primary = Alias(shard_primary);
  for (size_t i = 0; i < tabs.size(); ++i) {
    const Tab& tab = tabs[i];
    TabletSight sight;
    sight.alias = Alias(static_cast<int>(i));
    sight.type = tab.leads ? record::TabletType::kPrimary : record::TabletType::kReplica;
    sight.reachable = tab.up && !tab.cut;
    if (sight.reachable) {
      Journal newest = NewestJournal(tab.executed);
      sight.promised_term = tab.promised;
      sight.journal_term = newest.term;
      sight.journal_primary = Alias(newest.tablet);
      sight.mysqld_running = tab.mysqld;
      sight.mysqld_exited = !tab.mysqld;
      sight.serving = tab.leads ? Serves(tab) : tab.serving;
      for (int to = 0; to < static_cast<int>(tabs.size()); ++to) {
        if (tab.grants >> to & 1) sight.grants.push_back({Alias(to), Duration(1)});
      }
      sight.read_only = tab.read_only;
      sight.demoted = tab.demoted;
      sight.fenced = tab.fenced;
      sight.source = Alias(tab.source);
      sight.io_running = sight.sql_running = tab.io;
      sight.semi_sync_replica = tab.semi_sync;
      sight.semi_sync_required = tab.acks;
      sight.executed = SetOf(tab.executed);
      sight.received = SetOf(tab.received);
    }
    view.tablets.push_back(std::move(sight));
  }
  return view;
}

std::vector<World::Event> World::Events() const {
  std::vector<Event> events;
  int count = static_cast<int>(tabs.size());
  for (int i = 0; i < static_cast<int>(coordinators.size()); ++i) {
    const Coordinator& coordinator = coordinators[static_cast<size_t>(i)];
    if (coordinator.over) continue;
    events.push_back({'c', i});
    if (crashes_left > 0 && coordinator.attempt.term != 0) events.push_back({'x', i});
  }
  for (int i = 0; i < count; ++i) {
    const Tab& tab = tabs[static_cast<size_t>(i)];
    if (!tab.up) continue;
    if (bug == Bug::kPromiseForgotten && tab.grants != 0) events.push_back({'f', i});
    if (!tab.mysqld) {
      if (!tab.leads) {
        events.push_back({'s', i});
      } else {
        events.push_back({LedInVain(tab) ? 'z' : 'y', i});
      }
    }
    if (faults_left > 0) {
      events.push_back({'k', i});
      if (!tab.cut) events.push_back({'p', i});
      if (tab.mysqld && tab.leads) events.push_back({'m', i});
    }
    if (!tab.mysqld) continue;
    if (tab.leads && LedInVain(tab)) events.push_back({'v', i});
    if (writes_left > 0 && Serves(tab)) events.push_back({'w', i});
    if (!tab.io || tab.source < 0) continue;
    const Tab& source = tabs[static_cast<size_t>(tab.source)];
    if (source.up && source.mysqld && (source.received & ~tab.received) != 0)
      events.push_back({'r', i});
  }
  return events;
}

void World::Do(Event event) {
  size_t who = static_cast<size_t>(event.who);
  if (tracing) trace.push_back(fmt::format("{} {}", event.kind, event.who));
  switch (event.kind) {
    case 'w':
      Write(event.who);
      break;
    case 'r':
      Replicate(event.who);
      break;
    case 'k':
      --faults_left;
      tabs[who].up = false;
      break;
    case 'p':
      --faults_left;
      tabs[who].cut = true;
      break;
    case 'm':
      --faults_left;
      tabs[who].mysqld = false;
      break;
    case 's':
      tabs[who].mysqld = true;
      break;
    case 'f':
      tabs[who].grants = 0;
      break;
    case 'v': {
      Tab& tab = tabs[who];
      if (bug == Bug::kWaitersReleased) {
        acked |= ClientWrites(tab.received & ~tab.executed);
        tab.executed = tab.received;
      }
      tab.mysqld = false;  // killed: its sessions may wait
      break;
    }
    case 'y':
      Keep(event.who);
      break;
    case 'z':
      Rewind(tabs[who], shard_primary);
      break;
    case 'x': {
      --crashes_left;
      Coordinator fresh;
      fresh.request = coordinators[who].request;
      coordinators[who] = fresh;
      break;
    }
    default: {
      Coordinator& coordinator = coordinators[who];
      if (!coordinator.busy)
        Decide(coordinator);
      else
        ActOnNext(coordinator);
    }
  }
  GiveGrants();
  CheckState();
}

// The record names a tablet that leads a later term, and that one says so itself.
bool World::LedInVain(const Tab& tab) const {
  const Tab& leader = tabs[static_cast<size_t>(shard_primary)];
  return leader.up && leader.mysqld && leader.leads && !leader.read_only &&
         leader.lead_term > tab.lead_term;
}

// mysqld starts as it is: recovery commits all that is in its binary log.
void World::Keep(int tablet) {
  Tab& tab = tabs[static_cast<size_t>(tablet)];
  tab.mysqld = true;
  tab.executed = tab.received;
  tab.lease = 0;
  bool led_last = tab.promised == tab.lead_term && !tab.demoted;
  tab.serving = false;
  tab.resuming = led_last;
  tab.read_only = !led_last;
  if (!led_last) tab.leads = tab.demoted = false;
  if (led_last) CountAcks(tablet);
}

void World::Rewind(Tab& tab, int leader) {
  const Tab& later = tabs[static_cast<size_t>(leader)];
  if (!Holds(later.received, SetOf(tab.received))) tab.received &= later.received;
  tab.executed = tab.received;
  tab.mysqld = true;
  tab.leads = tab.demoted = tab.fenced = tab.resuming = false;
  tab.read_only = tab.serving = tab.io = tab.semi_sync = true;
  tab.acks = 0;
  tab.lease = 0;
  tab.source = leader;
  tab.promised = std::max(tab.promised, later.lead_term);
}

void World::Write(int tablet) {
  --writes_left;
  Tab& tab = tabs[static_cast<size_t>(tablet)];
  uint64_t sequence = NewestSequence(tab.received) + 1;
  tab.received |= 1u << transactions.size();
  transactions.push_back({0, tablet, sequence});
  CountAcks(tablet);
}

void World::Replicate(int tablet) {
  Tab& tab = tabs[static_cast<size_t>(tablet)];
  uint32_t news = tabs[static_cast<size_t>(tab.source)].received & ~tab.received;
  if (bug == Bug::kSequenceAlone) {
    uint64_t have = NewestSequence(tab.received);
    for (size_t i = 0; i < transactions.size(); ++i) {
      if (transactions[i].sequence <= have) news &= ~(1u << i);
    }
  }
  tab.received |= news;
  CountAcks(tab.source);
}

// AFTER_SYNC: what enough semi-sync replicas hold is committed and told to the client.
void World::CountAcks(int tablet) {
  Tab& primary = tabs[static_cast<size_t>(tablet)];
  if (!primary.leads || !primary.mysqld || primary.read_only) return;
  if (!primary.serving && !primary.resuming) return;
  if (primary.resuming) {
    uint32_t holders = 0;
    for (const Tab& tab : tabs) {
      holders += tab.up && tab.io && tab.semi_sync && tab.source == tablet &&
                 (primary.received & ~tab.received) == 0;
    }
    // Its own row comes after all it has, and is acknowledged.
    if (holders < primary.acks) return;
    primary.resuming = false;
    primary.serving = true;
  }
  for (size_t i = 0; i < transactions.size(); ++i) {
    uint32_t bit = 1u << i;
    if (!(primary.received & bit) || (primary.executed & bit)) continue;
    uint32_t holders = 0;
    for (const Tab& tab : tabs) {
      holders += tab.up && tab.io && tab.semi_sync && tab.source == tablet && (tab.received & bit);
    }
    if (holders < primary.acks) continue;
    primary.executed |= bit;
    // Answered only while the lease holds; else the client does not know.
    if (transactions[i].term != 0 || !Serves(primary)) continue;
    acked |= bit;
    if (primary.lead_term < acked_term) {
      violation = fmt::format("I1: {} acknowledges in term {} after term {} did",
                              Alias(tablet).ToString(), primary.lead_term, acked_term);
    }
    acked_term = std::max(acked_term, primary.lead_term);
  }
}

void World::Decide(Coordinator& coordinator) {
  Request request = coordinator.request;
  request.force |= bug == Bug::kSkipFence;
  coordinator.step = NextStep(Look(), request, coordinator.attempt);
  if (tracing) trace.push_back("  " + Describe(coordinator.step));
  coordinator.result = {};
  coordinator.next = 0;
  if (auto* promote = std::get_if<Promote>(&coordinator.step)) {
    if (bug == Bug::kPublishBeforeWritable) {
      int tablet = static_cast<int>(promote->tablet.uid) - 100;
      (void)DoPublish(tablet, promote->term, coordinator);
    }
    if (bug == Bug::kPromoteMostLagging) promote->must_contain = gtid::Set();
  }
  auto* attach = std::get_if<Repoint>(&coordinator.step);
  bool elected = attach != nullptr && !attach->interim && !attach->then;
  if (bug == Bug::kPromoteMostLagging && elected && coordinator.attempt.chosen.empty()) {
    TabletAlias best = attach->primary;
    int least = 33;
    for (Repoint::Replica& replica : attach->replicas) {
      int has = std::popcount(tabs[replica.tablet.uid - 100].received);
      if (has >= least) continue;
      least = has;
      attach->primary = replica.tablet;
    }
    for (Repoint::Replica& replica : attach->replicas) {
      if (replica.tablet == attach->primary) replica.tablet = best;
    }
  }
  coordinator.over = std::holds_alternative<Done>(coordinator.step) ||
                     std::holds_alternative<Refuse>(coordinator.step);
  coordinator.done = std::holds_alternative<Done>(coordinator.step);
  coordinator.busy = !coordinator.over;
  if (std::holds_alternative<Wait>(coordinator.step)) LetGrantsRunOut();
  if (TargetsOf(coordinator.step).empty() && coordinator.busy) ActOnNext(coordinator);
}

void World::ActOnNext(Coordinator& coordinator) {
  std::vector<TabletAlias> targets = TargetsOf(coordinator.step);
  while (coordinator.next < targets.size()) {
    const TabletAlias& alias = targets[coordinator.next++];
    std::string error = Act(coordinator, static_cast<int>(alias.uid) - 100);
    if (tracing && !error.empty()) trace.push_back("    " + alias.ToString() + ": " + error);
    if (error.empty())
      coordinator.result.ok.insert(alias);
    else
      coordinator.result.errors[alias] = error;
    if (!whole_steps) break;
  }
  if (coordinator.next < targets.size()) return;
  coordinator.attempt = After(std::move(coordinator.attempt), coordinator.step, coordinator.result);
  coordinator.busy = false;
}

std::string World::Act(Coordinator& coordinator, int tablet) {
  const Step& step = coordinator.step;
  if (auto* s = std::get_if<Publish>(&step)) return DoPublish(tablet, s->term, coordinator);
  Tab& tab = tabs[static_cast<size_t>(tablet)];
  if (!tab.up || tab.cut) return "not reachable";
  if (auto* s = std::get_if<WaitForPosition>(&step)) {
    if (!tab.mysqld) return "mysqld is down";
    if (!Holds(tab.received, s->position)) return "timed out";
    tab.executed = tab.received;
    return {};
  }
  if (auto* s = std::get_if<PromiseTerm>(&step)) {
    bool granted =
        s->term > tab.promised || (bug == Bug::kSameTermTwice && s->term == tab.promised);
    if (!granted) return "promised already";
    tab.promised = s->term;
    return {};
  }
  uint64_t term = std::visit(
      [](const auto& s) -> uint64_t {
        if constexpr (requires { s.term; })
          return s.term;
        else
          return 0;
      },
      step);
  if (term < tab.promised) return "promised a higher term";
  if (!tab.mysqld) return "mysqld is down";
  tab.promised = term;
  if (std::holds_alternative<Fence>(step)) {
    tab.fenced = true;
    if (bug != Bug::kSkipFence) tab.io = false;
  } else if (std::holds_alternative<Demote>(step)) {
    if (!tab.leads || (tab.received & ~tab.executed) != 0)
      return "commits wait for acknowledgements";
    tab.demoted = tab.read_only = true;
    tab.serving = false;
  } else if (auto* undo = std::get_if<UndoDemote>(&step)) {
    tab.demoted = tab.read_only = false;
    tab.serving = true;
    tab.acks = undo->acknowledgements;
  } else if (auto* repoint = std::get_if<Repoint>(&step)) {
    return DoRepoint(tablet, *repoint, repoint->replicas[coordinator.next - 1].semi_sync);
  } else if (auto* promote = std::get_if<Promote>(&step)) {
    return DoPromote(tablet, *promote);
  }
  return {};
}

std::string World::DoRepoint(int tablet, const Repoint& step, bool semi_sync) {
  Tab& tab = tabs[static_cast<size_t>(tablet)];
  int source = static_cast<int>(step.primary.uid) - 100;
  if (tab.leads && !tab.demoted) {  // killed and rewound
    if (bug == Bug::kWaitersReleased) acked |= ClientWrites(tab.received & ~tab.executed);
    tab.received &= tabs[static_cast<size_t>(source)].received;
    tab.executed &= tab.received;
  }
  tab.leads = tab.demoted = tab.fenced = tab.resuming = false;
  tab.lease = 0;
  tab.read_only = tab.serving = tab.io = true;
  tab.acks = 0;
  tab.source = source;
  tab.semi_sync = semi_sync;
  return {};
}

std::string World::DoPromote(int tablet, const Promote& step) {
  Tab& tab = tabs[static_cast<size_t>(tablet)];
  if (tab.leads && tab.lead_term == step.term && !tab.read_only) return {};
  if (!Holds(tab.received, step.must_contain)) return "lacks what it must contain";
  tab.executed = tab.received;
  tab.source = -1;
  tab.io = tab.semi_sync = tab.fenced = tab.demoted = false;
  if (transactions.size() >= 32) return "the model has no more room";
  uint32_t row = 1u << transactions.size();
  uint32_t holders = 0;
  for (Tab& other : tabs) {
    if (!other.up || !other.mysqld || !other.io || other.source != tablet) continue;
    holders += other.semi_sync;
  }
  if (holders < step.acknowledgements) return "nobody acknowledges the journal row";
  transactions.push_back({step.term, tablet, NewestSequence(tab.received) + 1});
  tab.received |= row;
  tab.executed |= row;
  for (Tab& other : tabs) {
    if (other.up && other.mysqld && other.io && other.source == tablet)
      other.received |= tab.received;
  }
  tab.lease = 0;
  tab.resuming = false;
  tab.leads = tab.serving = true;
  tab.read_only = false;
  tab.acks = step.acknowledgements;
  tab.lead_term = step.term;
  for (auto [term, who] : opened) {
    if (term == step.term && who != tablet) violation = "I1: two tablets opened in one term";
  }
  opened.push_back({step.term, tablet});
  if ((acked & ~tab.received) != 0) {
    violation = fmt::format("I3: {} promoted in term {} without an acknowledged transaction",
                            Alias(tablet).ToString(), step.term);
  }
  if (step.acknowledgements > 0) acked |= row;
  return {};
}

std::string World::DoPublish(int tablet, uint64_t term, Coordinator& coordinator) {
  bool open = false;
  for (auto [t, who] : opened) open |= t == term && who == tablet;
  if (!open)
    violation = fmt::format("I2: {} published before it was writable", Alias(tablet).ToString());
  (void)coordinator;
  // The record's update carries the version of the view; a newer term has moved it.
  uint64_t newest = 0;
  for (auto [t, who] : opened) {
    if (who == shard_primary) newest = std::max(newest, t);
  }
  if (shard_version > term && newest > term) return "the record has moved";
  shard_version = term;
  shard_primary = tablet;
  return {};
}

void World::CheckState() {
  int able = 0, serve = 0;
  size_t newest = 0;
  for (size_t i = 0; i < opened.size(); ++i) {
    if (opened[i].first > opened[newest].first) newest = i;
  }
  int leader = opened[newest].second;
  if ((acked & ~tabs[static_cast<size_t>(leader)].received) != 0) {
    violation = fmt::format("I4: {} leads term {} and lacks what a client was told to be committed",
                            Alias(leader).ToString(), opened[newest].first);
  }
  for (size_t i = 0; i < tabs.size(); ++i) {
    const Tab& primary = tabs[i];
    serve += Serves(primary);
    if (!primary.up || !primary.mysqld || !primary.leads || !primary.serving || primary.read_only)
      continue;
    uint32_t ackers = 0;
    for (const Tab& tab : tabs) {
      ackers += tab.up && tab.io && tab.semi_sync && tab.source == static_cast<int>(i);
    }
    able += ackers >= primary.acks;
  }
  if (serve > 1) violation = "I1: two tablets serve";
  if (able > 1) violation = "I1: two tablets can get writes acknowledged";
}

void World::Heal() {
  int newest = 0;
  for (size_t i = 0; i < tabs.size(); ++i) {
    if (tabs[i].lead_term > tabs[static_cast<size_t>(newest)].lead_term)
      newest = static_cast<int>(i);
  }
  for (size_t i = 0; i < tabs.size(); ++i) {
    Tab& tab = tabs[i];
    bool died = !tab.up || !tab.mysqld || tab.resuming;
    tab.up = tab.mysqld = true;
    tab.cut = tab.resuming = false;
    tab.grants = tab.lease = 0;
    if (!tab.leads || !(died || static_cast<int>(i) != newest)) continue;
    // Its vttablet starts it read-only; one that led in vain is rewound to what the newest has.
    tab.leads = false;
    tab.read_only = true;
    tab.serving = false;
    if (static_cast<int>(i) == newest)
      tab.executed = tab.received;
    else {
      tab.received &= tabs[static_cast<size_t>(newest)].received;
      tab.executed &= tab.received;
    }
  }
  GiveGrants();
}

std::string World::Key() const {
  std::string key;
  auto put = [&key](uint64_t v) { key.append(reinterpret_cast<const char*>(&v), 4); };
  for (const Tab& t : tabs) {
    put(t.promised << 16 | t.lead_term);
    put(t.up | t.cut << 1 | t.leads << 2 | t.read_only << 3 | t.serving << 4 | t.demoted << 5 |
        t.fenced << 6 | t.io << 7 | t.semi_sync << 8 | t.acks << 9 | (t.source + 1) << 12 |
        t.mysqld << 16 | t.resuming << 17);
    put(t.grants << 16 | t.lease);
    put(t.received);
    put(t.executed);
  }
  for (const Journal& j : transactions) put(j.term << 8 | static_cast<uint64_t>(j.tablet));
  put(acked), put(acked_term), put(static_cast<uint64_t>(shard_primary)), put(shard_version);
  put(static_cast<uint64_t>(writes_left << 16 | faults_left << 8 | crashes_left));
  for (const Coordinator& c : coordinators) {
    const Attempt& a = c.attempt;
    put(static_cast<uint64_t>(c.busy | c.over << 1 | c.next << 2 | c.step.index() << 8));
    if (c.over) continue;
    if (c.busy) key += Describe(c.step);
    put(a.term), put(a.old_primary.uid), put(a.chosen.uid), put(a.interim_source.uid);
    put(static_cast<uint64_t>(a.prepared | a.published << 1 | a.ending.has_value() << 2));
    for (const auto* set : {&a.promised, &a.fenced_by_us, &a.repointed, &c.result.ok}) {
      for (const TabletAlias& alias : *set) put(alias.uid);
      put(0);
    }
    for (const auto& [kind, tries] : a.tries) (key += kind) += static_cast<char>(tries);
  }
  return key;
}

}  // namespace paceline::reparent::model
