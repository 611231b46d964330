// cmd/admission_files.h - a tablet's table ACLs and query rules, read from the files that its flags
// name and read again while it runs. Threads: one loop. Lifetime: Stop() before destroying; what is
// in force is asked by the query loops until the group is closed.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/flags.h"
#include "io/sync.h"
#include "vttablet/query/query_group.h"
#include "vttablet/query/query_rules.h"
#include "vttablet/query/table_acl.h"

namespace paceline::cmd {

// Flags are Vitess's.
struct AdmissionFlags {
  std::string acl_file, rules_file, exempt;
  Duration reload_interval{0};
  bool enforce = false, strict = false, dry_run = false;
  void AddTo(FlagSet& flags);
};

class AdmissionFiles {
 public:
  explicit AdmissionFiles(AdmissionFlags flags) : flags_(std::move(flags)) {}

  // Reads both files and puts them in force. Errors: kInvalidArgument, kNotFound naming the file
  // and what is wrong in it.
  io::Task<Status> Load(vttablet::QueryGroup& group);
  // Reads them again each interval; a file that went bad is logged and what was in force stays.
  void Start(vttablet::QueryGroup& group);
  io::Task<void> Stop(Deadline deadline);

 private:
  struct Loaded {
    std::string acl_text, rules_text;
    std::unique_ptr<vttablet::TableAcl> acl;
    std::unique_ptr<vttablet::QueryRules> rules;
  };
  Result<Loaded> Read() const;
  static io::Task<void> ReloadLoop(AdmissionFiles& self, vttablet::QueryGroup& group);

  AdmissionFlags flags_;
  Loaded now_;
  io::Gate gate_;
};

}  // namespace paceline::cmd
