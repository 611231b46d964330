// tests/sim/gate.h - a simulated vtgate with its clients: it picks primaries by health/view.h,
// keeps requests by vtgate/buffer.h while there is none, and settles a write whose answer was lost
// by vtgate/loss.h, on evidence that a primary gives: the write is there; or it is not, and the
// primary leads a later term than the one that the write was sent in. The clients' ledger is the
// oracle. Threads: one.
#pragma once

#include "health/view.h"
#include "shard.h"
#include "vtgate/buffer.h"
#include "vtgate/loss.h"

namespace paceline::sim {

enum class Told : uint8_t { kNothing, kCommitted, kUnknown, kNotRun };

class Gate {
 public:
  Gate(Shard& shard, int host);
  void Start(int writers);
  void StopWriting() { writing_ = false; }
  bool idle() const { return open_ == 0; }
  int64_t committed() const { return committed_; }
  Process& process() { return process_; }
  // What the ledger says of a shard at rest, led by `t`.
  void Audit(const Tablet& t);
  // One more write; `done` when it is told committed.
  void WriteOnce(std::function<void(bool)> done);

 private:
  struct Write {
    int token = 0;
    uint64_t term = 0;   // it was sent in
    bool waits = false;  // has a place in the buffer
    Time wait_until;     // there
    Time resolve_until;  // since its answer was lost
    vtgate::Loss loss;
    std::function<void(Told)> done;
  };
  using WritePtr = std::shared_ptr<Write>;

  void Heard(const Tablet& t);
  void TickLoop();
  void Writer();
  void Reader();
  void Begin(std::function<void(Told)> done);
  void Try(WritePtr write);
  void Wait(WritePtr write);
  void Lost(WritePtr write, Code code);
  void Resolve(WritePtr write);
  void Settle(WritePtr write, vtgate::Remedy remedy);
  int Primary(uint64_t* term) const;

  Shard& shard_;
  World& world_;
  Process process_;
  health::View view_{health::ViewOptions{}};
  vtgate::Buffer buffer_{vtgate::BufferOptions{}};
  std::vector<Told> ledger_;
  std::vector<Time> told_at_;
  bool writing_ = true;
  int open_ = 0;
  int64_t committed_ = 0;
};

}  // namespace paceline::sim
