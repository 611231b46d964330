// vtgate/statement_stats.h - what statements of each shape cost: times run, time, rows, errors, by
// fingerprint and keyspace. One object for the whole process, behind /debug/queryz. Bounded: beyond
// kMostShapes the rest is counted together. Threads: any.
#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/time.h"

namespace paceline::vtgate {

struct StatementLine {
  std::string digest;  // without literals: sql::FingerprintOf; "(others)" for what found no place
  std::string keyspace;
  uint64_t count = 0, errors = 0, rows = 0, affected = 0;
  Duration time{0}, longest{0};
};

class StatementStats {
 public:
  static constexpr size_t kMostShapes = 4096;

  struct Run {
    uint64_t fingerprint = 0;
    std::string_view digest;
    std::string_view keyspace;
    Duration time{0};
    uint64_t rows = 0, affected = 0;
    bool failed = false;
  };
  void Note(const Run& run);
  // Those that took most of the time first.
  std::vector<StatementLine> Top(size_t most) const;

 private:
  static constexpr size_t kParts = 16;
  struct Part {
    mutable std::mutex mutex;
    std::unordered_map<uint64_t, StatementLine> lines;  // by fingerprint and keyspace
  };
  static void Add(const Run& run, StatementLine* line);

  std::array<Part, kParts> parts_;
};

}  // namespace paceline::vtgate
