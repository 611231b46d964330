#include "reparent/durability.h"

#include <algorithm>

namespace paceline::reparent {

using record::TabletType;

Result<Durability> ParseDurability(std::string_view text) {
  if (text.empty() || text == "none") return Durability::kNone;
  if (text == "semi_sync") return Durability::kSemiSync;
  if (text == "cross_cell") return Durability::kCrossCell;
  return Fail(Code::kInvalidArgument,
              "durability policy \"{}\" is not known: use none, semi_sync or cross_cell", text);
}

std::string_view DurabilityName(Durability policy) {
  switch (policy) {
    case Durability::kNone:
      return "none";
    case Durability::kSemiSync:
      return "semi_sync";
    case Durability::kCrossCell:
      return "cross_cell";
  }
  return "none";
}

PromotionRule PromotionRuleOf(TabletType type) {
  bool may = type == TabletType::kReplica || type == TabletType::kPrimary;
  return may ? PromotionRule::kNeutral : PromotionRule::kMustNot;
}

bool MayAcknowledge(Durability policy, const Member& primary, const Member& replica) {
  if (policy == Durability::kNone || primary.alias == replica.alias) return false;
  if (replica.type != TabletType::kReplica && replica.type != TabletType::kPrimary) return false;
  return policy != Durability::kCrossCell || primary.alias.cell != replica.alias.cell;
}

std::vector<record::TabletAlias> PossibleAckers(Durability policy, const Member& primary,
                                                const std::vector<Member>& members) {
  std::vector<record::TabletAlias> ackers;
  for (const Member& member : members) {
    if (MayAcknowledge(policy, primary, member)) ackers.push_back(member.alias);
  }
  return ackers;
}

uint32_t AcksRequired(Durability policy, gtid::Flavor flavor, size_t possible_ackers) {
  if (policy == Durability::kNone || possible_ackers == 0) return 0;
  if (flavor == gtid::Flavor::kMariadb) return 1;
  return static_cast<uint32_t>((possible_ackers + 1) / 2);
}

bool FenceHolds(size_t possible_ackers, size_t fenced, uint32_t acks_required) {
  return acks_required > 0 && possible_ackers - std::min(fenced, possible_ackers) < acks_required;
}

}  // namespace paceline::reparent
