#include "vtgate/statement_stats.h"

#include <algorithm>
#include <functional>

namespace paceline::vtgate {

void StatementStats::Add(const Run& run, StatementLine* line) {
  ++line->count;
  line->errors += run.failed ? 1 : 0;
  line->rows += run.rows;
  line->affected += run.affected;
  line->time += run.time;
  line->longest = std::max(line->longest, run.time);
}

void StatementStats::Note(const Run& run) {
  constexpr uint64_t kOthers = 0;
  const uint64_t key = run.fingerprint ^ (std::hash<std::string_view>()(run.keyspace) << 1);
  Part& part = parts_[key % kParts];
  std::lock_guard lock(part.mutex);
  auto found = part.lines.find(key);
  if (found == part.lines.end()) {
    const bool full = part.lines.size() >= kMostShapes / kParts;
    found = part.lines.try_emplace(full ? kOthers : key).first;
    StatementLine& line = found->second;
    line.digest = full ? "(others)" : run.digest;
    line.keyspace = full ? std::string_view() : run.keyspace;
  }
  Add(run, &found->second);
}

std::vector<StatementLine> StatementStats::Top(size_t most) const {
  std::vector<StatementLine> all;
  for (const Part& part : parts_) {
    std::lock_guard lock(part.mutex);
    for (const auto& [key, line] : part.lines) all.push_back(line);
  }
  std::sort(all.begin(), all.end(),
            [](const StatementLine& a, const StatementLine& b) { return a.time > b.time; });
  if (all.size() > most) all.resize(most);
  return all;
}

}  // namespace paceline::vtgate
