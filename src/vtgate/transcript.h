// vtgate/transcript.h - an open transaction as its session remembers it: which attempt marks it in
// the binary log, and what was run in it, so that it can be run again on another primary. It is
// given up, with the reason, where that would not be the same: beyond the limits, or after a
// statement that does what its answer does not show. Threads: one loop. Lifetime: `all_bytes`
// outlives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "plan/plan.h"
#include "port/query_service.h"
#include "vtgate/failover.h"
#include "vtgate/gateway.h"

namespace paceline::vtgate {

// Which write a question after its fate is about.
struct Attempt {
  uint32_t number = 0;  // 0: none, nothing can be asked
  record::TabletAlias sent_to;
  std::shared_ptr<const PrimarySight> since;

  port::AttemptQuestion Question() const {
    return {number, sent_to, since != nullptr ? since->position : std::string()};
  }
};

class Transcript {
 public:
  struct Entry {
    port::StatementKind kind = port::StatementKind::kText;
    std::string text, parameters;
    port::SettingsPtr settings;
    uint64_t digest = 0;  // of its answer
    // Not 0: the AUTO_INCREMENT value that its answer told; the next time it must give the same.
    uint64_t insert_id = 0;
  };

  // `begin`: the text it was begun with. `all_bytes`: of all transcripts of the loop.
  Transcript(Attempt attempt, std::string begin, const FailoverOptions& options, size_t* all_bytes)
      : attempt_(std::move(attempt)),
        begin_(std::move(begin)),
        options_(options),
        all_bytes_(all_bytes) {}
  ~Transcript() { *all_bytes_ -= bytes_; }
  Transcript(const Transcript&) = delete;

  void Add(Entry entry);
  // Nothing more is kept; `why` must outlive it.
  void GiveUp(std::string_view why);
  // Why it cannot be replayed; empty: it can.
  std::string_view why_not() const { return why_not_; }
  const std::vector<Entry>& entries() const { return entries_; }
  const std::string& begin() const { return begin_; }
  const Attempt& attempt() const { return attempt_; }
  // It goes on under another attempt.
  void MovedTo(Attempt attempt) { attempt_ = std::move(attempt); }

  bool may_have_written() const { return may_have_written_; }
  void NoteWrite() { may_have_written_ = true; }

 private:
  Attempt attempt_;
  std::string begin_;
  const FailoverOptions& options_;
  size_t* all_bytes_;
  size_t bytes_ = 0;
  bool may_have_written_ = false;
  std::string_view why_not_;
  std::vector<Entry> entries_;
};

// Why a transaction with such a statement in it is never replayed; empty: it may be.
std::string_view WhyNotReplayed(const plan::Plan& plan);

}  // namespace paceline::vtgate
