#include "record/record.h"

#include "base/strings.h"

namespace paceline::record {
namespace {

constexpr std::string_view kTypeNames[] = {"unknown",      "primary", "replica", "rdonly", "spare",
                                           "experimental", "backup",  "restore", "drained"};

}  // namespace

std::string_view TabletTypeName(TabletType type) {
  auto index = static_cast<size_t>(type);
  return index < std::size(kTypeNames) ? kTypeNames[index] : kTypeNames[0];
}

Result<TabletType> ParseTabletType(std::string_view text) {
  for (size_t i = 0; i < std::size(kTypeNames); ++i) {
    if (EqualsIgnoreCase(text, kTypeNames[i])) return static_cast<TabletType>(i);
  }
  if (EqualsIgnoreCase(text, "master")) return TabletType::kPrimary;
  if (EqualsIgnoreCase(text, "batch")) return TabletType::kRdonly;
  return Fail(
      Code::kInvalidArgument,
      "unknown tablet type \"{}\": use primary, replica, rdonly, spare, experimental, backup, "
      "restore or drained",
      text);
}

std::string TabletAlias::ToString() const { return fmt::format("{}-{:010}", cell, uid); }

Result<TabletAlias> ParseTabletAlias(std::string_view text) {
  size_t dash = text.rfind('-');
  std::optional<uint64_t> uid;
  if (dash != std::string_view::npos) uid = ParseUint(text.substr(dash + 1));
  if (!uid || *uid > UINT32_MAX || dash == 0) {
    return Fail(
        Code::kInvalidArgument,
        "malformed tablet alias \"{}\": expected <cell>-<uid>, for example zone1-0000000100", text);
  }
  RETURN_IF_ERROR(ValidateName("cell", text.substr(0, dash)));
  return TabletAlias{std::string(text.substr(0, dash)), static_cast<uint32_t>(*uid)};
}

int32_t Tablet::Port(std::string_view name) const {
  auto found = port_map.find(std::string(name));
  return found == port_map.end() ? 0 : found->second;
}

std::string Tablet::DbName() const {
  return db_name_override.empty() ? "vt_" + keyspace : db_name_override;
}

std::string Tablet::GrpcAddress() const {
  bool v6 = hostname.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", hostname, v6 ? "]" : "", Port("grpc"));
}

Result<KeyspaceShard> ParseKeyspaceShard(std::string_view text) {
  size_t slash = text.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == text.size() ||
      text.find('/', slash + 1) != std::string_view::npos) {
    return Fail(Code::kInvalidArgument,
                "malformed shard \"{}\": expected <keyspace>/<shard>, for example commerce/0",
                text);
  }
  KeyspaceShard parsed{std::string(text.substr(0, slash)), std::string(text.substr(slash + 1))};
  RETURN_IF_ERROR(ValidateName("keyspace", parsed.keyspace));
  RETURN_IF_ERROR(ValidateName("shard", parsed.shard));
  return parsed;
}

Status ValidateName(std::string_view what, std::string_view name) {
  if (name.empty()) return Fail(Code::kInvalidArgument, "{} name is empty", what);
  if (name.size() > 200) {
    return Fail(Code::kInvalidArgument, "{} name is longer than 200 bytes: {}...", what,
                name.substr(0, 40));
  }
  for (char c : name) {
    bool fine = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                c == '_' || c == '-' || c == '.';
    if (!fine || name == "." || name == "..") {
      return Fail(Code::kInvalidArgument,
                  "{} name \"{}\" is not allowed: use letters, digits, '_', '-' and '.'", what,
                  name);
    }
  }
  return {};
}

std::string Target::ToString() const {
  return fmt::format("{}.{}.{}", keyspace, shard, TabletTypeName(type));
}

}  // namespace paceline::record
