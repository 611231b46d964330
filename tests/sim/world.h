// tests/sim/world.h - seeded time, processes and a network for simulations: what happens next is
// picked from one queue, so a seed replays exactly. Processes crash (their timers and what is on
// its way to them are lost), freeze (both wait), and start anew. Threads: one.
#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/time.h"

namespace paceline::sim {

struct Process {
  std::string name;
  int host = 0;
  bool up = true, frozen = false;
  uint64_t life = 1;  // counts its starts
  std::vector<std::function<void()>> parked;
};

class World {
 public:
  World(uint64_t seed, int hosts, bool tracing)
      : rng_(seed), hosts_(hosts), links_(static_cast<size_t>(hosts * hosts)), tracing_(tracing) {}

  Time now() const { return now_; }
  bool Chance(double p) { return static_cast<double>(rng_.Below(1'000'000)) < p * 1e6; }
  Duration Between(Duration least, Duration most) {
    auto span = static_cast<uint64_t>((most - least).count());
    return least + Duration(static_cast<int64_t>(rng_.Below(span + 1)));
  }
  uint64_t Below(uint64_t bound) { return rng_.Below(bound); }

  void RunUntil(Time end) {
    while (!queue_.empty() && queue_.top().at <= end && violation_.empty()) {
      auto work = std::move(const_cast<Event&>(queue_.top()).work);
      now_ = queue_.top().at;
      queue_.pop();
      ++events_;
      work();
    }
    if (violation_.empty()) now_ = end;
  }
  // Whatever becomes of anybody.
  void After(Duration in, std::function<void()> work) {
    queue_.push({now_ + in, ++sequence_, std::move(work)});
  }
  // On `process`, unless it has ended by then; a frozen one does it when it goes on.
  void Timer(Process& process, Duration in, std::function<void()> work) {
    After(in, [this, &process, life = process.life, work = std::move(work)]() mutable {
      Deliver(process, life, std::move(work));
    });
  }
  void Crash(Process& process) {
    process.up = process.frozen = false;
    process.parked.clear();
    ++process.life;
  }
  void Start(Process& process) { process.up = true; }
  void Freeze(Process& process) { process.frozen = process.up; }
  void Thaw(Process& process) {
    if (!process.frozen) return;
    process.frozen = false;
    std::vector<std::function<void()>> parked = std::move(process.parked);
    for (auto& work : parked) Timer(process, Duration(0), std::move(work));
  }

  struct Link {
    bool cut = false;
    Duration slow{0};
  };
  Link& link(int from, int to) { return links_[static_cast<size_t>(from * hosts_ + to)]; }
  double loss = 0.01;

  // One message. False, and nothing is sent, when it gets lost; within a host none does.
  bool Send(const Process& from, Process& to, std::function<void()> work) {
    bool local = from.host == to.host;
    const Link& way = link(from.host, to.host);
    if (!local && (way.cut || Chance(loss))) return false;
    Duration delay = local ? Between(20us, 200us) : Between(200us, 3ms) + way.slow;
    Timer(to, delay, std::move(work));
    return true;
  }

  // A call: `serve` runs at `to` and answers now or later by what it is handed; `done` runs at
  // `from`, once, with nothing when no answer came in time or `to` does not live.
  template <class Answer>
  void Call(Process& from, Process& to, Duration patience,
            std::function<void(std::function<void(Answer)>)> serve,
            std::function<void(std::optional<Answer>)> done) {
    auto open = std::make_shared<bool>(true);
    auto end = [open, done = std::move(done)](std::optional<Answer> answer) {
      if (!*open) return;
      *open = false;
      done(std::move(answer));
    };
    Timer(from, patience, [end] { end(std::nullopt); });
    bool refused = !to.up && !link(from.host, to.host).cut && !link(to.host, from.host).cut;
    if (refused) {
      Timer(from, Between(200us, 3ms), [end] { end(std::nullopt); });
      return;
    }
    Send(from, to, [this, &from, &to, life = from.life, end, serve = std::move(serve)] {
      serve([this, &from, &to, life, end](Answer answer) {
        if (from.life != life) return;
        Send(to, from, [end, answer] { end(answer); });
      });
    });
  }

  template <class... T>
  void Log(fmt::format_string<T...> text, T&&... values) {
    if (!tracing_) return;
    trace_.push_back(fmt::format("{:9.3f} ", static_cast<double>(now_.ns) / 1e9) +
                     fmt::format(text, std::forward<T>(values)...));
  }
  void Violate(std::string what) {
    if (!violation_.empty()) return;
    Log("VIOLATION {}", what);
    violation_ = std::move(what);
  }
  const std::string& violation() const { return violation_; }
  const std::vector<std::string>& trace() const { return trace_; }
  uint64_t events() const { return events_; }

 private:
  struct Event {
    Time at;
    uint64_t sequence;
    std::function<void()> work;
    bool operator<(const Event& other) const {
      return std::pair(other.at, other.sequence) < std::pair(at, sequence);
    }
  };
  void Deliver(Process& process, uint64_t life, std::function<void()> work) {
    if (!process.up || process.life != life) return;
    if (process.frozen) {
      process.parked.push_back(std::move(work));
    } else {
      work();
    }
  }

  SeededRng rng_;
  int hosts_;
  std::vector<Link> links_;
  bool tracing_;
  Time now_{0};
  uint64_t sequence_ = 0, events_ = 0;
  std::priority_queue<Event> queue_;
  std::string violation_;
  std::vector<std::string> trace_;
};

}  // namespace paceline::sim
