#include "reparent/decide.h"

#include <gtest/gtest.h>

#include "reparent/force.h"

namespace paceline::reparent {
namespace {

using record::TabletType;

TabletAlias At(uint32_t uid, std::string cell = "zone1") { return {std::move(cell), uid}; }
gtid::Set Mysql(int up_to) {
  return *gtid::Set::Parse(gtid::Flavor::kMysql,
                           fmt::format("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-{}", up_to));
}

// `count` tablets 101...; 101 leads in term 1, all others follow and have everything.
View Shard(uint32_t count) {
  View view;
  view.shard = {"ks", "0"};
  view.durability = Durability::kSemiSync;
  view.shard_primary = At(101);
  for (uint32_t i = 0; i < count; ++i) {
    TabletSight tablet;
    tablet.alias = At(101 + i);
    tablet.reachable = tablet.mysqld_running = tablet.serving = true;
    tablet.promised_term = tablet.journal_term = 1;
    tablet.journal_primary = At(101);
    tablet.executed = tablet.received = Mysql(10);
    tablet.lag = Duration(0);
    if (i == 0) {
      tablet.type = TabletType::kPrimary;
      tablet.read_only = false;
      tablet.semi_sync_required = AcksRequired(view.durability, view.flavor, count - 1);
    } else {
      tablet.source = At(101);
      tablet.io_running = tablet.sql_running = tablet.semi_sync_replica = true;
    }
    view.tablets.push_back(tablet);
  }
  return view;
}
void Lose(View& view, size_t tablet) {
  view.tablets[tablet] = {.alias = view.tablets[tablet].alias,
                          .type = view.tablets[tablet].type,
                          .error = "connection refused"};
}
// All who can be seen promised `term` to this run, which saw `old_primary` lead.
Attempt Promised(View& view, uint64_t term = 2, uint32_t old_primary = 101) {
  Attempt attempt;
  attempt.term = term;
  attempt.old_primary = At(old_primary);
  attempt.tries["promise"] = 1;
  for (TabletSight& tablet : view.tablets) {
    if (!tablet.reachable) continue;
    tablet.promised_term = term;
    attempt.promised.insert(tablet.alias);
  }
  return attempt;
}
// The same in term 2, and replicas are fenced.
Attempt Fenced(View& view) {
  Attempt attempt = Promised(view);
  for (TabletSight& tablet : view.tablets) {
    if (!tablet.reachable || tablet.source.empty()) continue;
    tablet.fenced = true;
    tablet.io_running = false;
    attempt.fenced_by_us.insert(tablet.alias);
  }
  return attempt;
}
template <class T>
T Get(const Step& step) {
  EXPECT_TRUE(std::holds_alternative<T>(step)) << Describe(step);
  return std::holds_alternative<T>(step) ? std::get<T>(step) : T{};
}

TEST(Force, TellsWhatItGivesUp) {
  View view = Shard(3);
  Request request{.action = Action::kEmergency, .force = true};
  EXPECT_EQ(GivenUpByForce(view, request), "");
  Lose(view, 0);
  EXPECT_EQ(GivenUpByForce(view, request), "");  // the fence holds
  Lose(view, 1);
  std::string given_up = GivenUpByForce(view, request);
  EXPECT_NE(given_up.find("zone1-0000000102 cannot be fenced"), std::string::npos) << given_up;
  EXPECT_NE(given_up.find("may be lost: every transaction"), std::string::npos) << given_up;
  // It goes on with the one that is left, whose commits then wait for nobody.
  Attempt attempt = Fenced(view);
  auto promote = Get<Promote>(NextStep(view, request, attempt));
  EXPECT_EQ(promote.tablet, At(103));
  EXPECT_EQ(promote.acknowledgements, 0u);
}

TEST(Durability, AcknowledgementsAndFence) {
  struct Case {
    Durability policy;
    gtid::Flavor flavor;
    size_t ackers;
    uint32_t want;
  };
  for (Case c : {Case{Durability::kNone, gtid::Flavor::kMysql, 4, 0},
                 Case{Durability::kSemiSync, gtid::Flavor::kMysql, 0, 0},
                 Case{Durability::kSemiSync, gtid::Flavor::kMysql, 1, 1},
                 Case{Durability::kSemiSync, gtid::Flavor::kMysql, 2, 1},
                 Case{Durability::kSemiSync, gtid::Flavor::kMysql, 3, 2},
                 Case{Durability::kCrossCell, gtid::Flavor::kMysql, 4, 2},
                 Case{Durability::kSemiSync, gtid::Flavor::kMariadb, 4, 1}}) {
    EXPECT_EQ(AcksRequired(c.policy, c.flavor, c.ackers), c.want) << c.ackers;
  }
  EXPECT_FALSE(FenceHolds(2, 1, 1));
  EXPECT_TRUE(FenceHolds(2, 2, 1));
  EXPECT_FALSE(FenceHolds(4, 2, 2));
  EXPECT_TRUE(FenceHolds(4, 3, 2));
  EXPECT_FALSE(FenceHolds(4, 4, 0));  // none: nothing proves anything
  Member primary{At(1, "a"), TabletType::kPrimary};
  EXPECT_TRUE(MayAcknowledge(Durability::kCrossCell, primary, {At(2, "b"), TabletType::kReplica}));
  EXPECT_FALSE(MayAcknowledge(Durability::kCrossCell, primary, {At(2, "a"), TabletType::kReplica}));
  EXPECT_FALSE(MayAcknowledge(Durability::kSemiSync, primary, {At(2, "b"), TabletType::kRdonly}));
  EXPECT_FALSE(ParseDurability("semisync"));
}

TEST(Terms, AnyTwoQuorumsShareATablet) {
  for (uint32_t count = 1; count <= 5; ++count) {
    View view = Shard(count);
    for (uint32_t a = 0; a < 1u << count; ++a) {
      for (uint32_t b = 0; b < 1u << count; ++b) {
        std::set<TabletAlias> in_a, in_b;
        for (uint32_t i = 0; i < count; ++i) {
          if (a >> i & 1) in_a.insert(At(101 + i));
          if (b >> i & 1) in_b.insert(At(101 + i));
        }
        bool both = PromiseQuorum(view, At(101), in_a) && PromiseQuorum(view, At(101), in_b);
        EXPECT_TRUE(!both || (a & b)) << count << " " << a << " " << b;
      }
    }
  }
}

TEST(Decide, RefusalsSayWhy) {
  struct Case {
    Request request;
    size_t lost;
    const char* says;
  };
  for (const Case& c : std::vector<Case>{
           {{.expected_primary = At(102)}, 9, "not zone1-0000000102 as expected"},
           {{.new_primary = At(999)}, 9, "is not in shard ks/0"},
           {{.new_primary = At(103)}, 2, "not reachable (connection refused)"},
           {{}, 0, "use EmergencyReparentShard"},
           {{.action = Action::kReparentTablet, .new_primary = At(101)}, 9, "is the primary"},
           {{.action = Action::kEmergency, .new_primary = At(101)}, 0, "101: not reachable"},
           {{.action = Action::kEmergency, .ignore = {At(102), At(103)}}, 0, "to be ignored"}}) {
    View view = Shard(3);
    if (c.lost < 3) Lose(view, c.lost);
    Refuse refuse = Get<Refuse>(NextStep(view, c.request, {}));
    EXPECT_NE(refuse.why.find(c.says), std::string::npos) << refuse.why;
  }
}

TEST(Decide, NoFailoverWhileAnAckerIsMissing) {
  View view = Shard(3);
  Lose(view, 0);
  Lose(view, 2);
  Refuse refuse = Get<Refuse>(NextStep(view, {.action = Action::kEmergency}, {}));
  EXPECT_NE(refuse.why.find("zone1-0000000103 cannot be fenced"), std::string::npos) << refuse.why;
  EXPECT_NE(refuse.may_be_lost, "");
}

TEST(Decide, ElectsWhoHasAllAndMayLead) {
  struct Case {
    const char* name;
    void (*change)(View&);
    uint32_t want;
  };
  for (const Case& c : std::vector<Case>{
           {"first by alias", [](View&) {}, 102},
           {"the most advanced",
            [](View& v) { v.tablets[3].received = v.tablets[3].executed = Mysql(12); }, 104},
           {"not an rdonly", [](View& v) { v.tablets[1].type = TabletType::kRdonly; }, 103},
           {"not a drained one", [](View& v) { v.tablets[1].type = TabletType::kDrained; }, 103},
           {"not while a backup runs", [](View& v) { v.tablets[1].backup_running = true; }, 103},
           {"the least to apply", [](View& v) { v.tablets[1].executed = Mysql(8); }, 103},
           {"not where mysqld is down", [](View& v) { v.tablets[1].mysqld_running = false; },
            103}}) {
    View view = Shard(5);
    Lose(view, 0);
    c.change(view);
    Attempt attempt = Fenced(view);
    Repoint step = Get<Repoint>(NextStep(view, {.action = Action::kEmergency}, attempt));
    EXPECT_EQ(step.primary, At(c.want)) << c.name;
  }
}

TEST(Decide, TheOneAskedForCatchesUpFromWhoHasMore) {
  View view = Shard(3);
  Lose(view, 0);
  view.tablets[2].received = view.tablets[2].executed = Mysql(12);
  Attempt attempt = Fenced(view);
  Request request{.action = Action::kEmergency, .new_primary = At(102)};
  Repoint step = Get<Repoint>(NextStep(view, request, attempt));
  EXPECT_TRUE(step.interim);
  EXPECT_EQ(step.primary, At(103));
  attempt = After(attempt, step, {.ok = {At(102)}});
  view.tablets[1].source = At(103);
  view.tablets[1].fenced = false;
  view.tablets[1].io_running = true;
  EXPECT_EQ(Get<WaitForPosition>(NextStep(view, request, attempt)).position, Mysql(12));
  view.tablets[1].received = view.tablets[1].executed = Mysql(12);
  EXPECT_EQ(Get<Repoint>(NextStep(view, request, attempt)).primary, At(102));
}

TEST(Decide, APrimaryWhoseDiskTakesNoWritesIsNotAskedToDrain) {
  View view = Shard(3);
  Request request{.action = Action::kEmergency, .ignore = {At(101)}};
  Attempt attempt = Promised(view);
  EXPECT_EQ(Get<Demote>(NextStep(view, request, attempt)).tablet, At(101));
  view.tablets[0].disk_error = "it is full";
  EXPECT_EQ(Get<Fence>(NextStep(view, request, attempt)).tablets,
            (std::vector<TabletAlias>{At(102), At(103)}));
  // Nor is anybody preferred whose disk takes none.
  view.tablets[1].disk_error = "it is full";
  attempt = Fenced(view);
  EXPECT_EQ(Get<Repoint>(NextStep(view, request, attempt)).primary, At(103));
}

// It forgets its source after it serves, and may die or be replaced before.
TEST(Decide, APrimaryWithALeftoverSourceIsNotAskedToFence) {
  View view = Shard(3);
  view.tablets[0].source = At(102);
  Attempt attempt = Promised(view);
  Request request{.action = Action::kPlanned, .new_primary = At(102)};
  EXPECT_EQ(Get<Demote>(NextStep(view, request, attempt)).tablet, At(101));
}

TEST(Decide, APlannedChangeDemotesWhenCatchingUpIsShort) {
  View view = Shard(3);
  view.tablets[0].executed = view.tablets[0].received = Mysql(20);
  Request request{.action = Action::kPlanned, .new_primary = At(102)};
  const auto catch_up = [&](Duration took) {
    Attempt attempt;
    int waits = 0;
    for (Step step = NextStep(view, request, attempt);
         std::holds_alternative<WaitForPosition>(step); step = NextStep(view, request, attempt)) {
      EXPECT_LE(++waits, kCatchUps);
      attempt = After(attempt, step, {.ok = {At(102)}, .errors = {}, .took = took});
    }
    return std::pair(waits, NextStep(view, request, attempt));
  };
  auto [few, asks] = catch_up(200ms);
  EXPECT_EQ(few, 1);
  Get<PromiseTerm>(asks);
  auto [many, asks_at_last] = catch_up(3s);
  EXPECT_EQ(many, kCatchUps);
  Get<PromiseTerm>(asks_at_last);
  auto [all, refused] = catch_up(11s);
  EXPECT_EQ(all, kCatchUps);
  EXPECT_NE(Get<Refuse>(refused).why.find("11.0 s for what was written"), std::string::npos);
}

TEST(Decide, AttachesTheOldPrimaryTooAndWaitsForNoMoreThanMustAcknowledge) {
  View view = Shard(3);
  Request request{.action = Action::kPlanned, .new_primary = At(102)};
  Attempt attempt = Promised(view);
  view.tablets[0].read_only = view.tablets[0].demoted = true;
  view.tablets[0].serving = false;
  Step step = NextStep(view, request, attempt);
  auto attach = Get<Repoint>(step);
  ASSERT_EQ(attach.replicas.size(), 2u);
  EXPECT_EQ(attach.enough, 1u);
  // 103 follows; 101 is on its way, and is attached with the rest once 102 leads.
  StepResult result;
  result.ok = {At(103)};
  attempt = After(attempt, step, result);
  EXPECT_EQ(Get<Promote>(NextStep(view, request, attempt)).tablet, At(102));
}

TEST(Decide, AnUndoOpensOnlyWhomThisRunDemoted) {
  // Another run made 102 primary of term 2 and crashed; this one demoted it in term 3, then lost
  // it. 101, demoted by that other run, is the newest that can be seen: it must not lead again.
  View view = Shard(3);
  Request request{.action = Action::kPlanned, .new_primary = At(103)};
  Attempt attempt = Promised(view, 3, 102);
  view.tablets[0].read_only = view.tablets[0].demoted = true;
  view.tablets[0].serving = false;
  attempt = After(attempt, Demote{3, At(102)}, {.ok = {At(102)}});
  Lose(view, 1);
  EXPECT_EQ(Get<Refuse>(NextStep(view, request, attempt)).code, Code::kAborted);
}

TEST(Decide, OneOfSeveralAlikeGivesWay) {
  View view = Shard(3);
  Lose(view, 0);
  Request request{.action = Action::kEmergency, .yields = true};
  Attempt attempt = Fenced(view);
  attempt.promised.erase(At(103));  // to somebody else, in the same term
  EXPECT_EQ(Get<Refuse>(NextStep(view, request, attempt)).code, Code::kAborted);
  request.yields = false;
  EXPECT_EQ(Get<PromiseTerm>(NextStep(view, request, attempt)).term, 3u);
}

TEST(Decide, WhomAnotherCoordinatorMadePrimaryIsNoFailureWhereItWasAskedFor) {
  View view = Shard(3);
  Request request{.action = Action::kPlanned, .new_primary = At(102)};
  Attempt attempt = Fenced(view);
  view.shard_primary = At(102);
  for (TabletSight& tablet : view.tablets) {
    tablet.promised_term = tablet.journal_term = 3;
    tablet.journal_primary = At(102);
    tablet.read_only = tablet.alias != At(102);
    tablet.fenced = false;
    tablet.type = tablet.read_only ? TabletType::kReplica : TabletType::kPrimary;
    tablet.source = tablet.read_only ? At(102) : TabletAlias();
  }
  EXPECT_EQ(Get<Done>(NextStep(view, request, attempt)).primary, At(102));
  request.new_primary = At(103);
  Get<Refuse>(NextStep(view, request, attempt));
}

TEST(Decide, WaitsOutTheLastGrantUnlessMysqldIsDead) {
  View view = Shard(3);
  Lose(view, 0);
  Attempt attempt = Fenced(view);
  view.tablets[1].grants = {{At(101), 700ms}, {At(103), 900ms}};
  view.tablets[2].grants = {{{}, 300ms}, {At(101), Duration(0)}};
  Request request{.action = Action::kEmergency};
  EXPECT_EQ(Get<Wait>(NextStep(view, request, attempt)).how_long, 700ms);
  view.tablets[1].grants.clear();
  EXPECT_EQ(Get<Wait>(NextStep(view, request, attempt)).how_long, 300ms)
      << "started anew: it may have granted just before";
  // Its vttablet lives, and cannot reach mysqld: it may be slow only.
  view.tablets[0].reachable = true;
  view.tablets[0].promised_term = 2;
  EXPECT_EQ(Get<Wait>(NextStep(view, request, attempt)).how_long, 300ms);
  view.tablets[0].mysqld_exited = true;
  Get<Repoint>(NextStep(view, request, attempt));
}

TEST(Decide, ALeaderThatStartedAnewAsAReplicaIsDownAlready) {
  View view = Shard(3);
  Attempt attempt = Fenced(view);
  // Its vttablet came back after a later term was asked of it: read-only, serving replica reads.
  view.tablets[0].type = TabletType::kReplica;
  view.tablets[0].read_only = true;
  Step step = NextStep(view, {.action = Action::kPlanned}, attempt);
  EXPECT_FALSE(std::holds_alternative<Demote>(step)) << Describe(step);
  EXPECT_FALSE(std::holds_alternative<Refuse>(step)) << Describe(step);
}

TEST(Decide, MariadbComparesPerServer) {
  View view = Shard(3);
  view.flavor = gtid::Flavor::kMariadb;
  Lose(view, 0);
  auto has = [&](size_t i, const char* list) {
    view.tablets[i].executed = view.tablets[i].received = *gtid::Set::Parse(view.flavor, list);
  };
  has(1, "0-1-5");
  has(2, "0-2-7");
  Attempt attempt = Fenced(view);
  Refuse refuse =
      Get<Repoint>(NextStep(view, {.action = Action::kEmergency}, attempt)).then.value();
  EXPECT_NE(refuse.why.find("it lacks 0-1-5"), std::string::npos) << refuse.why;
  view.takeovers = {{2, *gtid::Set::Parse(view.flavor, "0-1-5")}};
  EXPECT_EQ(Get<Repoint>(NextStep(view, {.action = Action::kEmergency}, attempt)).primary, At(103));
}

TEST(Decide, InitOfAFreshShard) {
  View view = Shard(3);
  view.shard_primary = {};
  for (TabletSight& tablet : view.tablets) {
    tablet.type = TabletType::kReplica;
    tablet.read_only = true;
    tablet.source = {};
    tablet.promised_term = tablet.journal_term = 0;
    tablet.journal_primary = {};
    tablet.executed = tablet.received = {};
  }
  Request request{.action = Action::kInit, .new_primary = At(102)};
  PromiseTerm promise = Get<PromiseTerm>(NextStep(view, request, {}));
  EXPECT_EQ(promise.term, 1u);
  for (TabletSight& tablet : view.tablets) tablet.promised_term = 1;
  Attempt attempt = After({}, promise, {.ok = {At(101), At(102), At(103)}});
  Repoint repoint = Get<Repoint>(NextStep(view, request, attempt));
  EXPECT_EQ(repoint.primary, At(102));
  attempt = After(attempt, repoint, {.ok = {At(101), At(103)}});
  EXPECT_EQ(Get<Promote>(NextStep(view, request, attempt)).acknowledgements, 1u);
}

TEST(Decide, AnImportBarsAllButItsSwitch) {
  View view = Shard(3);
  view.tablets[2].importing = "replicating";
  for (Action action : {Action::kPlanned, Action::kEmergency, Action::kInit}) {
    Refuse refuse = Get<Refuse>(NextStep(view, {.action = action, .new_primary = At(103)}, {}));
    EXPECT_EQ(refuse.code, Code::kFailedPrecondition);
    EXPECT_NE(refuse.why.find("Import switch"), std::string::npos) << refuse.why;
  }
  Request request{.action = Action::kInit, .new_primary = At(103), .for_import = true};
  EXPECT_FALSE(std::holds_alternative<Refuse>(NextStep(view, request, {})));
}

TEST(Decide, ReparentTabletUsesTheTermThatReigns) {
  View view = Shard(3);
  Request request{.action = Action::kReparentTablet, .new_primary = At(103)};
  Repoint step = Get<Repoint>(NextStep(view, request, {}));
  EXPECT_EQ(step.term, 1u);
  EXPECT_EQ(step.primary, At(101));
  Get<Done>(NextStep(view, request, After({}, step, {.ok = {At(103)}})));
  view.tablets[2].promised_term = 4;  // somebody else's attempt holds it
  EXPECT_EQ(Get<PromiseTerm>(NextStep(view, request, {})).term, 5u);
}

}  // namespace
}  // namespace paceline::reparent
