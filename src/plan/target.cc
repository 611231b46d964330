#include "plan/target.h"

namespace paceline::plan {
namespace {

constexpr ErrorSpec kBadTarget{"VT05003", Code::kInvalidArgument, 1049, "42000",
                               "The name is no target string."};

}  // namespace

std::string SessionTarget::ToString() const {
  std::string out = keyspace;
  if (!shard.empty()) out.append(":").append(shard);
  if (type != record::TabletType::kPrimary) {
    out.append("@").append(record::TabletTypeName(type));
  }
  return out;
}

Result<SessionTarget> ParseTarget(std::string_view text, record::TabletType default_type) {
  SessionTarget target;
  target.type = default_type;
  std::string_view rest = text;
  if (const size_t at = rest.rfind('@'); at != std::string_view::npos) {
    const Result<record::TabletType> type = record::ParseTabletType(rest.substr(at + 1));
    if (!type) {
      return Fail(kBadTarget, "Unknown database '{}': {}", text, type.error().message());
    }
    if (*type != record::TabletType::kPrimary && *type != record::TabletType::kReplica &&
        *type != record::TabletType::kRdonly) {
      return Fail(kBadTarget,
                  "Unknown database '{}': only primary, replica and rdonly tablets serve", text);
    }
    target.type = *type;
    rest = rest.substr(0, at);
  }
  if (rest.find('[') != std::string_view::npos) {
    return Fail(kBadTarget,
                "Unknown database '{}': key ranges and keyspace ids are for sharded keyspaces; "
                "name a shard as "
                "keyspace:shard",
                text);
  }
  if (const size_t separator = rest.find_first_of(":/"); separator != std::string_view::npos) {
    target.shard = std::string(rest.substr(separator + 1));
    if (target.shard.empty()) {
      return Fail(kBadTarget, "Unknown database '{}': the shard's name is missing", text);
    }
    rest = rest.substr(0, separator);
    if (rest.empty()) {
      return Fail(kBadTarget, "Unknown database '{}': a shard needs its keyspace before it", text);
    }
  }
  target.keyspace = std::string(rest);
  return target;
}

}  // namespace paceline::plan
