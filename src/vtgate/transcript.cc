#include "vtgate/transcript.h"

namespace paceline::vtgate {
namespace {

constexpr size_t kEntryBytes = sizeof(Transcript::Entry) + 32;

}  // namespace

void Transcript::Add(Entry entry) {
  if (!why_not_.empty()) return;
  const size_t bytes = kEntryBytes + entry.text.size() + entry.parameters.size();
  if (entries_.size() >= options_.replay_statements) {
    GiveUp("it has more statements than are kept for a replay");
    return;
  }
  if (bytes > options_.replay_bytes - bytes_) {
    GiveUp("its statements are longer than what is kept for a replay");
    return;
  }
  if (*all_bytes_ + bytes > options_.replay_bytes_all) {
    GiveUp("too many transactions are kept for a replay");
    return;
  }
  bytes_ += bytes;
  *all_bytes_ += bytes;
  entries_.push_back(std::move(entry));
}

void Transcript::GiveUp(std::string_view why) {
  if (!why_not_.empty()) return;
  why_not_ = why;
  entries_.clear();
  entries_.shrink_to_fit();
  *all_bytes_ -= bytes_;
  bytes_ = 0;
}

std::string_view WhyNotReplayed(const plan::Plan& plan) {
  if (plan.pin != plan::PinReason::kNone) return "it holds state that only its connection has";
  if (plan.outline.HidesStatements())
    return "it ran a procedure or what may be one, which may have committed";
  switch (plan.outline.kind == sql::Kind::kSetFor ? plan.outline.inner : plan.outline.kind) {
    case sql::Kind::kLoad:
    case sql::Kind::kImport:
      return "it read a file";
    case sql::Kind::kXa:
    case sql::Kind::kHandler:
    case sql::Kind::kLockTables:
    case sql::Kind::kFlush:
    case sql::Kind::kAdmin:
    case sql::Kind::kReplication:
      return "it did what no transaction undoes";
    default:
      break;
  }
  if (plan.outline.Has(sql::kIntoFile)) return "it wrote a file";
  if (plan.outline.Has(sql::kUsesGetLock | sql::kUsesReleaseLock | sql::kUsesReleaseAllLocks)) {
    return "it uses locks of its connection";
  }
  if (plan.outline.Has(sql::kReadsUserVariable | sql::kWritesUserVariable)) {
    // Those that follow the session are constants; others would have pinned it.
    return plan.outline.Has(sql::kWritesUserVariable) ? "it sets user variables from data" : "";
  }
  if (plan.outline.Has(sql::kSequenceCall)) return "it took values of a sequence";
  return "";
}

}  // namespace paceline::vtgate
