#include "gate.h"

namespace paceline::sim {

namespace {
const record::KeyspaceShard kShard{"ks", "0"};
constexpr Duration kPoll = 15ms;
constexpr Duration kResolveMax = 30s;
constexpr size_t kBytes = 100;
}  // namespace

Gate::Gate(Shard& shard, int host) : shard_(shard), world_(shard.world()) {
  process_.name = "vtgate";
  process_.host = host;
  for (int i = 0; i < shard_.size(); ++i) {
    record::Tablet tablet;
    tablet.alias = Shard::Alias(i);
    tablet.keyspace = "ks";
    tablet.shard = "0";
    view_.Found(tablet, world_.now());
  }
  shard_.health = [this](const Tablet& t) { Heard(t); };
}

void Gate::Heard(const Tablet& t) {
  port::TabletHealth health;
  health.alias = Shard::Alias(t.id);
  health.target = {
      "ks", "0", t.primary ? record::TabletType::kPrimary : record::TabletType::kReplica, "zone1"};
  health.serving = shard_.Serves(t);
  health.term = t.primary ? t.primary_term : t.promised;
  health.primary_term_start = {t.primary_start_ns};
  world_.Send(t.process, process_, [this, health] {
    view_.Heard(health.alias, health, world_.now());
    const health::TabletStatus* primary = view_.PickPrimary("ks", "0");
    if (primary != nullptr) buffer_.Serves(kShard, primary->primary_term, world_.now());
  });
}

void Gate::TickLoop() {
  world_.Timer(process_, 100ms, [this] { TickLoop(); });
  view_.Tick(world_.now());
  for (int i = 0; i < shard_.size(); ++i) {
    const Process& process = shard_.tablet(i).process;
    bool reset = !process.up && !world_.link(i, process_.host).cut;
    if (reset) view_.Broke(Shard::Alias(i), "connection reset");
  }
}

void Gate::Start(int writers) {
  TickLoop();
  for (int i = 0; i < writers; ++i)
    world_.Timer(process_, world_.Between(600ms, 700ms), [this] { Writer(); });
  world_.Timer(process_, 650ms, [this] { Reader(); });
}

int Gate::Primary(uint64_t* term) const {
  const health::TabletStatus* primary = view_.PickPrimary("ks", "0");
  if (primary == nullptr) return -1;
  if (term != nullptr) *term = primary->primary_term.term;
  return Shard::Index(primary->tablet.alias);
}

void Gate::Writer() {
  if (!writing_) return;
  Begin([this](Told) { world_.Timer(process_, world_.Between(20ms, 90ms), [this] { Writer(); }); });
}

void Gate::WriteOnce(std::function<void(bool)> done) {
  Begin([done = std::move(done)](Told told) { done(told == Told::kCommitted); });
}

void Gate::Begin(std::function<void(Told)> done) {
  auto write = std::make_shared<Write>();
  write->token = static_cast<int>(ledger_.size());
  ledger_.push_back(Told::kNothing);
  told_at_.push_back(Time{0});
  ++open_;
  write->done = [this, token = static_cast<size_t>(write->token),
                 done = std::move(done)](Told told) {
    ledger_[token] = told;
    told_at_[token] = world_.now();
    --open_;
    committed_ += told == Told::kCommitted;
    done(told);
  };
  Try(write);
}

void Gate::Wait(WritePtr write) {
  if (!write->waits) {
    vtgate::Buffer::Admission place = buffer_.Enter(kShard, kBytes, world_.now());
    if (place.verdict != vtgate::Buffer::Verdict::kWait) return write->done(Told::kNotRun);
    write->waits = true;
    write->wait_until = place.until;
  }
  world_.Timer(process_, kPoll, [this, write] { Try(write); });
}

void Gate::Try(WritePtr write) {
  uint64_t term = 0;
  int primary = Primary(&term);
  bool too_late = write->waits && world_.now() >= write->wait_until;
  if (primary < 0 && !too_late) return Wait(write);
  if (write->waits) buffer_.Leave(kBytes);
  write->waits = false;
  if (primary < 0) return write->done(Told::kNotRun);
  write->term = term;
  Tablet& t = shard_.tablet(primary);
  world_.Call<Answer>(
      process_, t.process, 2s,
      [this, &t, token = write->token](std::function<void(Answer)> reply) {
        shard_.Write(t, token, reply);
      },
      [this, write](std::optional<Answer> answer) {
        // What an older term says is not heard any more.
        bool old = answer && answer->term < view_.HighestTerm("ks", "0").term;
        if (answer && answer->what == Answer::kOk && !old) return write->done(Told::kCommitted);
        bool refused = answer && answer->what == Answer::kRefused;
        Lost(write, refused ? Code::kClusterEvent : Code::kUnavailable);
      });
}

void Gate::Lost(WritePtr write, Code code) {
  write->loss = {};
  write->loss.code = code;
  write->loss.may_write = write->loss.one_write = true;
  write->loss.can_resolve = write->loss.can_run_again = true;
  write->resolve_until = world_.now() + kResolveMax;
  vtgate::Remedy remedy = vtgate::RemedyFor(write->loss);
  bool planted = shard_.bug() == Bug::kUnknownIsFailure && remedy == vtgate::Remedy::kResolve;
  Settle(write, planted ? vtgate::Remedy::kAgain : remedy);
}

void Gate::Settle(WritePtr write, vtgate::Remedy remedy) {
  switch (remedy) {
    case vtgate::Remedy::kResult:
    case vtgate::Remedy::kDone:
      return write->done(Told::kCommitted);
    case vtgate::Remedy::kAgain:
      world_.Timer(process_, kPoll, [this, write] { Try(write); });
      return;
    case vtgate::Remedy::kResolve:
      return Resolve(write);
    case vtgate::Remedy::kClose:
      return write->done(Told::kUnknown);
    default:
      return write->done(Told::kNotRun);
  }
}

void Gate::Resolve(WritePtr write) {
  auto again = [this, write] {
    world_.Timer(process_, 2 * kPoll, [this, write] { Resolve(write); });
  };
  if (world_.now() > write->resolve_until) {
    return Settle(write, vtgate::RemedyAfter(write->loss, vtgate::WriteFate::kUnknown));
  }
  int primary = Primary(nullptr);
  if (primary < 0) return again();
  Tablet& t = shard_.tablet(primary);
  world_.Call<Answer>(
      process_, t.process, 1s,
      [this, &t, token = write->token](std::function<void(Answer)> reply) {
        shard_.Read(t, token, reply);
      },
      [this, write, again](std::optional<Answer> answer) {
        if (!answer || answer->what != Answer::kOk) return again();
        vtgate::WriteFate fate = vtgate::WriteFate::kUnknown;
        if (answer->present) fate = vtgate::WriteFate::kCommitted;
        // In the term it was sent in it may still come.
        if (!answer->present && answer->term > write->term) fate = vtgate::WriteFate::kNotCommitted;
        if (fate == vtgate::WriteFate::kUnknown) return again();
        Settle(write, vtgate::RemedyAfter(write->loss, fate));
      });
}

// What was told to be committed before a read began is in it.
void Gate::Reader() {
  world_.Timer(process_, 60ms, [this] { Reader(); });
  int primary = Primary(nullptr);
  if (primary < 0) return;
  Tablet& t = shard_.tablet(primary);
  Time began = world_.now();
  world_.Call<Answer>(
      process_, t.process, 2s,
      [this, &t](std::function<void(Answer)> reply) { shard_.Read(t, -1, reply); },
      [this, began](std::optional<Answer> answer) {
        if (!answer || answer->what != Answer::kOk) return;
        if (answer->term < view_.HighestTerm("ks", "0").term) return;
        for (size_t token = 0; token < ledger_.size(); ++token) {
          int seen = token < answer->seen.size() ? answer->seen[token] : 0;
          bool owed = ledger_[token] == Told::kCommitted && told_at_[token] < began;
          if (owed && seen == 0) {
            world_.Violate(
                fmt::format("I1: a read in term {} misses write {}, which was "
                            "acknowledged before",
                            answer->term, token));
          }
          if (seen > 1) world_.Violate(fmt::format("I4: write {} is there {} times", token, seen));
        }
      });
}

void Gate::Audit(const Tablet& t) {
  std::vector<int> seen(ledger_.size());
  for (size_t i = 0; i < t.db.executed; ++i) {
    int token = shard_.transactions()[static_cast<size_t>(t.db.log[i])].token;
    if (token >= 0) ++seen[static_cast<size_t>(token)];
  }
  for (size_t token = 0; token < ledger_.size(); ++token) {
    if (seen[token] > 1)
      world_.Violate(fmt::format("I4: write {} is there {} times", token, seen[token]));
    if (seen[token] == 0 && ledger_[token] == Told::kCommitted)
      world_.Violate(fmt::format("I4: write {} was acknowledged and is lost", token));
    if (seen[token] > 0 && ledger_[token] == Told::kNotRun)
      world_.Violate(fmt::format("I4: write {} is there, and was said not to have run", token));
  }
}

}  // namespace paceline::sim
