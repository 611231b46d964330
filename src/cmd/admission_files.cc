#include "cmd/admission_files.h"

#include <errno.h>
#include <string.h>

#include <fstream>
#include <sstream>

#include "base/log.h"
#include "base/strings.h"

namespace paceline::cmd {
namespace {

Result<std::string> TextOf(const std::string& path) {
  if (path.empty()) return std::string();
  errno = 0;
  std::ifstream file(path);
  std::stringstream text;
  if (file) text << file.rdbuf();
  if (!file || !text)
    return Fail(Code::kNotFound, "cannot read {}: {}", path, strerror(errno == 0 ? EIO : errno));
  return text.str();
}

}  // namespace

void AdmissionFlags::AddTo(FlagSet& flags) {
  flags.Text("table-acl-config", &acl_file,
             "JSON file of table groups: who may read, write and alter which tables");
  flags.Time("table-acl-config-reload-interval", &reload_interval,
             "how often the files of table ACLs and query rules are read again; 0: never");
  flags.Bool("enforce-tableacl-config", &enforce,
             "end at the start when the table ACLs cannot be used");
  flags.Bool("queryserver-config-strict-table-acl", &strict,
             "refuse what the table ACLs do not allow; else it is only counted");
  flags.Bool("queryserver-config-enable-table-acl-dry-run", &dry_run,
             "count what the table ACLs would refuse, and let it pass");
  flags.Text("queryserver-config-acl-exempt-acl", &exempt,
             "user or group that the table ACLs do not bind");
  flags.Text("filecustomrules", &rules_file, "JSON file of query rules");
}

Result<AdmissionFiles::Loaded> AdmissionFiles::Read() const {
  Loaded loaded;
  ASSIGN_OR_RETURN(loaded.acl_text, TextOf(flags_.acl_file));
  ASSIGN_OR_RETURN(loaded.rules_text, TextOf(flags_.rules_file));
  if (!flags_.acl_file.empty()) {
    vttablet::TableAclOptions options;
    options.strict = flags_.strict;
    options.dry_run = flags_.dry_run;
    for (std::string_view name : Split(flags_.exempt, ',')) {
      if (!name.empty()) options.exempt.emplace(name);
    }
    Result<std::unique_ptr<vttablet::TableAcl>> acl =
        vttablet::TableAcl::Parse(loaded.acl_text, std::move(options));
    if (!acl) return Fail(acl.error().Context(flags_.acl_file));
    loaded.acl = std::move(*acl);
  }
  if (!flags_.rules_file.empty()) {
    Result<std::unique_ptr<vttablet::QueryRules>> rules =
        vttablet::QueryRules::Parse(loaded.rules_text);
    if (!rules) return Fail(rules.error().Context(flags_.rules_file));
    loaded.rules = std::move(*rules);
  }
  return loaded;
}

io::Task<Status> AdmissionFiles::Load(vttablet::QueryGroup& group) {
  if (flags_.enforce && flags_.acl_file.empty()) {
    co_return Fail(Code::kInvalidArgument,
                   "--enforce-tableacl-config needs --table-acl-config: name the file");
  }
  Result<Loaded> loaded = Read();
  if (!loaded) co_return Fail(loaded.error());
  bool same = loaded->acl_text == now_.acl_text && loaded->rules_text == now_.rules_text;
  if (same && (now_.acl || now_.rules)) co_return Status();
  std::vector<const vttablet::Admission*> admission;
  if (loaded->acl) admission.push_back(loaded->acl.get());
  if (loaded->rules) admission.push_back(loaded->rules.get());
  if (admission.empty()) co_return Status();
  // In force everywhere when this returns, so what it replaces is asked no more.
  co_await group.SetAdmission(std::move(admission));
  now_ = std::move(*loaded);
  LOG_INFO("in force: {}{}{}", flags_.acl_file,
           flags_.acl_file.empty() || flags_.rules_file.empty() ? "" : ", ", flags_.rules_file);
  co_return Status();
}

void AdmissionFiles::Start(vttablet::QueryGroup& group) {
  bool any = !flags_.acl_file.empty() || !flags_.rules_file.empty();
  if (any && flags_.reload_interval > Duration(0)) io::Detach(ReloadLoop(*this, group));
}

io::Task<void> AdmissionFiles::ReloadLoop(AdmissionFiles& self, vttablet::QueryGroup& group) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  while (pass) {
    bool open = co_await io::Sleep(self.gate_, Deadline::In(self.flags_.reload_interval));
    if (!open) co_return;
    Status loaded = co_await self.Load(group);
    if (!loaded) LOG_ERROR("what was in force stays so: {}", loaded.error().ToString());
  }
}

io::Task<void> AdmissionFiles::Stop(Deadline deadline) {
  bool left = co_await gate_.Close(deadline);
  if (!left) LOG_WARNING("reloading of table ACLs did not end in time");
}

}  // namespace paceline::cmd
