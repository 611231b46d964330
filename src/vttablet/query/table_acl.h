// vttablet/query/table_acl.h - who may read, write and alter which tables: Vitess's "simpleacl" in
// its JSON form:
//   {"table_groups": [{"name": "g", "table_names_or_prefixes": ["a", "pre%"],
//                      "readers": ["u"], "writers": ["u"], "admins": ["group"]}]}
// A member is a user's name or one of the caller's groups. A reload makes a new object. Threads:
// any, const.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "vttablet/query/admission.h"

namespace paceline::vttablet {

struct TableAclOptions {
  bool strict = false;           // refuse; else only count what would be refused
  bool dry_run = false;          // count, never refuse, even when strict
  std::set<std::string> exempt;  // users and groups that may do all
};

class TableAcl final : public Admission {
 public:
  // Errors: kInvalidArgument naming what in the JSON is wrong; overlapping names and prefixes are.
  static Result<std::unique_ptr<TableAcl>> Parse(std::string_view json, TableAclOptions options);

  // kPermissionDenied in Vitess's words, kUnauthenticated for a caller without a name.
  Status Admit(const port::QueryRequest& request, const sql::Dialect& dialect) const override;
  // Statements refused, or that would have been.
  int64_t denied() const { return denied_.load(std::memory_order_relaxed); }

 private:
  enum class Role : uint8_t { kReader, kWriter, kAdmin };
  struct Group {
    std::string name;
    std::set<std::string, std::less<>> members[3];  // by Role
  };
  explicit TableAcl(TableAclOptions options) : options_(std::move(options)) {}
  Status AddNames(const std::vector<std::string>& names, size_t group);
  // Null when no group names the table.
  const Group* Find(std::string_view table) const;
  bool IsMember(const Group* group, Role role, const port::Caller& caller) const;

  TableAclOptions options_;
  std::vector<Group> groups_;
  std::map<std::string, size_t, std::less<>> exact_;
  std::map<std::string, size_t, std::less<>> prefixes_;  // without the '%'; none begins another
  mutable std::atomic<int64_t> denied_{0};
};

}  // namespace paceline::vttablet
