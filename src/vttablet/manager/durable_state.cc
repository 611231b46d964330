#include "vttablet/manager/durable_state.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/blocking.h"
#include "io/file.h"

namespace paceline::vttablet {
Result<DurableState> DurableStateFile::Load() {
  std::ifstream file(path_);
  if (!file) return DurableState();
  std::stringstream text;
  text << file.rdbuf();
  nlohmann::json json = nlohmann::json::parse(text.str(), nullptr, false);
  if (!json.is_object()) {
    return Fail(Code::kDataLoss,
                "{} is damaged: it holds the term this tablet has promised; remove it only when no "
                "reparent is under way",
                path_);
  }
  DurableState state;
  state.promised_term = json.value("promised_term", uint64_t{0});
  state.coordinator = json.value("coordinator", std::string());
  state.needs_seed = json.value("needs_seed", std::string());
  state.old_data_aside = json.value("old_data_aside", false);
  state.keep_old_logs = json.value("keep_old_logs", false);
  state.primary_term = json.value("primary_term", uint64_t{0});
  state.demoted = json.value("demoted", false);
  state.fenced = json.value("fenced", false);
  state.replication_stopped = json.value("replication_stopped", false);
  state.restored = json.value("restored", std::string());
  state.base_keyspace = json.value("base_keyspace", std::string());
  state.primary_term_start_ns = json.value("primary_term_start_ns", int64_t{0});
  state.leader = json.value("leader", std::string());
  state.leader_term_start_ns = json.value("leader_term_start_ns", int64_t{0});
  state.leader_host = json.value("leader_host", std::string());
  state.leader_port = json.value("leader_port", 0);
  state.acknowledges = json.value("acknowledges", false);
  state.acknowledgements = json.value("acknowledgements", uint32_t{1});
  state.forced_alone = json.value("forced_alone", false);
  for (const nlohmann::json& member : json.value("members", nlohmann::json::array())) {
    Result<record::TabletAlias> alias = record::ParseTabletAlias(member.value("alias", ""));
    if (!alias) continue;
    state.members.push_back({*alias, member.value("hostname", ""), member.value("grpc_port", 0),
                             member.value("acknowledges", false)});
  }
  return state;
}

io::Task<Status> DurableStateFile::Save(DurableState state) {
  Status locked = co_await writing_.Lock(Deadline::In(30s));
  if (!locked) co_return locked;
  nlohmann::json members = nlohmann::json::array();
  for (const LeaseMember& member : state.members) {
    members.push_back({{"alias", member.alias.ToString()},
                       {"hostname", member.hostname},
                       {"grpc_port", member.grpc_port},
                       {"acknowledges", member.acknowledges}});
  }
  nlohmann::json json = {{"promised_term", state.promised_term},
                         {"coordinator", state.coordinator},
                         {"needs_seed", state.needs_seed},
                         {"old_data_aside", state.old_data_aside},
                         {"keep_old_logs", state.keep_old_logs},
                         {"primary_term", state.primary_term},
                         {"demoted", state.demoted},
                         {"fenced", state.fenced},
                         {"replication_stopped", state.replication_stopped},
                         {"restored", state.restored},
                         {"base_keyspace", state.base_keyspace},
                         {"primary_term_start_ns", state.primary_term_start_ns},
                         {"leader", state.leader},
                         {"leader_term_start_ns", state.leader_term_start_ns},
                         {"leader_host", state.leader_host},
                         {"leader_port", state.leader_port},
                         {"acknowledges", state.acknowledges},
                         {"acknowledgements", state.acknowledgements},
                         {"forced_alone", state.forced_alone},
                         {"members", members}};
  std::string text = json.dump(2) + "\n";
  std::function<Status()> work = [path = path_, text] { return io::ReplaceFile(path, text); };
  Status written = co_await io::RunBlocking<Status>(std::move(work));
  writing_.Unlock();
  co_return written;
}

}  // namespace paceline::vttablet
