#include "vttablet/query/table_acl.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/strings.h"
#include "sql/outline.h"

namespace paceline::vttablet {
namespace {

using Json = nlohmann::json;

// Names as MySQL compares them in a statement's text: without quotes.
std::string Unquoted(std::string_view name) {
  if (name.size() < 2 || (name.front() != '`' && name.front() != '"')) return std::string(name);
  std::string_view quote = name.substr(0, 1);
  std::string twice = std::string(quote) + std::string(quote);
  return ReplaceAll(name.substr(1, name.size() - 2), twice, quote);
}

Result<std::vector<std::string>> Strings(const Json& group, const char* key) {
  std::vector<std::string> out;
  auto found = group.find(key);
  if (found == group.end() || found->is_null()) return out;
  if (!found->is_array()) return Fail(Code::kInvalidArgument, "table ACL: {} must be a list", key);
  for (const Json& one : *found) {
    if (!one.is_string()) {
      return Fail(Code::kInvalidArgument, "table ACL: {} must hold texts only", key);
    }
    out.push_back(one.get<std::string>());
  }
  return out;
}

}  // namespace

Result<std::unique_ptr<TableAcl>> TableAcl::Parse(std::string_view text, TableAclOptions options) {
  Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return Fail(Code::kInvalidArgument, "table ACL: not a JSON object");
  }
  std::unique_ptr<TableAcl> acl(new TableAcl(std::move(options)));
  auto groups = json.find("table_groups");
  if (groups == json.end()) return acl;
  if (!groups->is_array()) {
    return Fail(Code::kInvalidArgument, "table ACL: table_groups must be a list");
  }
  for (const Json& one : *groups) {
    if (!one.is_object()) {
      return Fail(Code::kInvalidArgument, "table ACL: a table group must be an object");
    }
    Group group;
    if (auto name = one.find("name"); name != one.end() && name->is_string()) {
      group.name = name->get<std::string>();
    }
    const char* keys[] = {"readers", "writers", "admins"};
    for (size_t role = 0; role < 3; ++role) {
      ASSIGN_OR_RETURN(std::vector<std::string> members, Strings(one, keys[role]));
      group.members[role].insert(members.begin(), members.end());
    }
    ASSIGN_OR_RETURN(std::vector<std::string> names, Strings(one, "table_names_or_prefixes"));
    acl->groups_.push_back(std::move(group));
    RETURN_IF_ERROR(acl->AddNames(names, acl->groups_.size() - 1));
  }
  return acl;
}

Status TableAcl::AddNames(const std::vector<std::string>& names, size_t group) {
  for (const std::string& name : names) {
    const bool is_prefix = name.ends_with('%');
    std::string plain = is_prefix ? name.substr(0, name.size() - 1) : name;
    auto covers = [](std::string_view prefix, std::string_view other) {
      return other.starts_with(prefix);
    };
    bool overlaps = !is_prefix && exact_.contains(plain);
    for (const auto& [prefix, other] : prefixes_) {
      overlaps = overlaps || covers(prefix, plain) || (is_prefix && covers(plain, prefix));
    }
    for (const auto& [other, index] : exact_) {
      overlaps = overlaps || (is_prefix && covers(plain, other));
    }
    if (overlaps) {
      return Fail(Code::kInvalidArgument,
                  "table ACL: \"{}\" of group \"{}\" overlaps with an earlier name or prefix", name,
                  groups_[group].name);
    }
    (is_prefix ? prefixes_ : exact_).emplace(std::move(plain), group);
  }
  return {};
}

const TableAcl::Group* TableAcl::Find(std::string_view table) const {
  if (auto found = exact_.find(table); found != exact_.end()) return &groups_[found->second];
  // The greatest prefix that is not above the name is the only one that can begin it.
  auto after = prefixes_.upper_bound(table);
  if (after == prefixes_.begin()) return nullptr;
  --after;
  return table.starts_with(after->first) ? &groups_[after->second] : nullptr;
}

bool TableAcl::IsMember(const Group* group, Role role, const port::Caller& caller) const {
  if (group == nullptr) return false;
  const auto& members = group->members[static_cast<size_t>(role)];
  return members.contains(caller.user) ||
         std::ranges::any_of(caller.groups,
                             [&](const std::string& one) { return members.contains(one); });
}

Status TableAcl::Admit(const port::QueryRequest& request, const sql::Dialect& dialect) const {
  const port::Caller& caller = request.caller;
  if (caller.user.empty()) {
    if (!options_.strict || options_.dry_run) return {};
    return Fail(Code::kUnauthenticated, "missing caller id");
  }
  const bool exempt = options_.exempt.contains(caller.user) ||
                      std::ranges::any_of(caller.groups, [&](const std::string& one) {
                        return options_.exempt.contains(one);
                      });
  if (exempt) return {};
  thread_local sql::Outline outline;
  for (const sql::Span& span : sql::SplitStatements(request.text, dialect)) {
    std::string_view statement = span.In(request.text);
    sql::Analyze(statement, dialect, outline);
    for (const sql::TableUse& use : outline.tables) {
      Role role = Role::kAdmin;
      if (use.access == sql::Access::kRead || use.access == sql::Access::kLock)
        role = Role::kReader;
      if (use.access == sql::Access::kWrite) role = Role::kWriter;
      std::string table = Unquoted(use.name.In(statement));
      if (IsMember(Find(table), role, caller)) continue;
      denied_.fetch_add(1, std::memory_order_relaxed);
      if (!options_.strict || options_.dry_run) continue;
      return Fail(
          Code::kPermissionDenied,
          "{} command denied to user '{}', in groups [{}], for table '{}' (ACL check error)",
          Upper(sql::KindName(outline.kind)), caller.user, Join(caller.groups, ", "), table);
    }
  }
  return {};
}

}  // namespace paceline::vttablet
