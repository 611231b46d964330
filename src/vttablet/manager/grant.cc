// The lease between this tablet and its primary, or its replicas (DESIGN section 7, "Grants").
#include "paceline_agent.pb.h"
#include "vttablet/manager/manager.h"

namespace paceline::vttablet {

void Manager::UpdateLease() {
  bool exited = process_runs_ && !*process_runs_;
  bool leads = is_primary() && state_.primary_term != 0 && !state_.demoted && !exited;
  if (leads) {
    lease_.Lead(state_.primary_term, acknowledgements_);
  } else if (lease_.leads()) {
    lease_.Follow();
  }
}

// Not behind the role mutex: a lease must not lapse while something else is slow.
io::Task<Status> Manager::Grant(const agent::GrantRequest& request, agent::GrantResponse&,
                                Deadline) {
  record::TabletAlias asks{request.primary().cell(), request.primary().uid()};
  Result<record::TabletAlias> follows = record::ParseTabletAlias(state_.leader);
  const char* why = reparent::WhyNotGrant(asks, follows.value_or(record::TabletAlias()),
                                          state_.fenced, state_.acknowledges, tablet_.type);
  if (why != nullptr) {
    co_return Fail(Code::kFailedPrecondition, "{} grants {} nothing: {}", tablet_.alias.ToString(),
                   asks.ToString(), why);
  }
  promises_.Give(asks, loop_.Now());
  std::vector<LeaseMember> members;
  for (const agent::LeaseMember& member : request.members()) {
    members.push_back({{member.alias().cell(), member.alias().uid()},
                       member.hostname(),
                       member.grpc_port(),
                       member.acknowledges()});
  }
  if (members != state_.members) {
    state_.members = members;
    lease_.SetMembers(members);
    Status saved = co_await Save();
    if (!saved) co_return saved;
  }
  co_return Status();
}

void Manager::FillGrants(agent::TabletStateResponse& out) const {
  Time now = loop_.Now();
  for (const reparent::Promised& promise : promises_.all()) {
    agent::Granted* granted = out.add_grants();
    if (!promise.to.empty()) {
      granted->mutable_primary()->set_cell(promise.to.cell);
      granted->mutable_primary()->set_uid(promise.to.uid);
    }
    Duration left = Deadline::At(promise.until).Left(now);
    granted->set_left_ms((left + 999us) / 1ms);
  }
}

}  // namespace paceline::vttablet
