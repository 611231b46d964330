// reparent/durability.h - what a shard's durability policy demands: who may acknowledge, how many
// must, who may lead. Policies: "none", "semi_sync" (fault domain a host), "cross_cell" (fault
// domain a cell). Pure. Threads: values.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "gtid/set.h"
#include "record/record.h"

namespace paceline::reparent {

enum class Durability : uint8_t { kNone, kSemiSync, kCrossCell };
// The text of the keyspace record; empty means none. Errors: kInvalidArgument naming the three.
Result<Durability> ParseDurability(std::string_view text);
std::string_view DurabilityName(Durability policy);

// Lower is better; kMustNot is never promoted.
enum class PromotionRule : uint8_t { kPrefer, kNeutral, kPreferNot, kMustNot };
// REPLICA (and PRIMARY) are neutral; RDONLY, SPARE, BACKUP, RESTORE, DRAINED and the rest must not.
PromotionRule PromotionRuleOf(record::TabletType type);

// What a policy needs to know of a tablet.
struct Member {
  record::TabletAlias alias;
  record::TabletType type = record::TabletType::kReplica;
  bool operator==(const Member&) const = default;
};

// Whether a commit on `primary` may be acknowledged by `replica`: then it replicates with semi-sync
// on. Never under none; a REPLICA (or PRIMARY) under semi_sync; under cross_cell one of another
// cell besides.
bool MayAcknowledge(Durability policy, const Member& primary, const Member& replica);
// All members that may, unreachable ones too.
std::vector<record::TabletAlias> PossibleAckers(Durability policy, const Member& primary,
                                                const std::vector<Member>& members);
// How many of `possible_ackers` a commit waits for: half, rounded up (MySQL); MariaDB knows one. 0
// under none or when nobody may acknowledge. Raise it on the primary before a further replica
// starts to acknowledge, lower it after.
uint32_t AcksRequired(Durability policy, gtid::Flavor flavor, size_t possible_ackers);
// No commit of the old primary can be acknowledged any more, and every acknowledged one is held by
// a fenced acker: (possible ackers - fenced) < acknowledgements required. Never true when none are
// required.
bool FenceHolds(size_t possible_ackers, size_t fenced, uint32_t acks_required);

}  // namespace paceline::reparent
