#include "vttablet/manager/resolver.h"

#include <algorithm>

#include "base/log.h"
#include "base/strings.h"
#include "io/loop.h"
#include "io/sleep.h"
#include "io/sync.h"
#include "vttablet/query/killer.h"

namespace paceline::vttablet {
namespace {

constexpr Duration kLookEvery = 20ms;
// Statements of a former process that run longer are ended; a session that reaches its commit in
// between is seen waiting for its acknowledgement.
constexpr int64_t kRunsLongS = 1;

struct Session {
  uint64_t id = 0;
  std::string user, command, state;
  int64_t time_s = 0;
};

// Id, User, Host, db, Command, Time, State, Info.
std::vector<Session> SessionsIn(const mysql::QueryResult& rows) {
  std::vector<Session> sessions;
  for (size_t i = 0; i < rows.rows.size(); ++i) {
    Session& one = sessions.emplace_back();
    one.id = ParseUint(rows.Text(i, size_t{0})).value_or(0);
    one.user = rows.Text(i, size_t{1});
    one.command = rows.Text(i, size_t{4});
    one.time_s = ParseInt(rows.Text(i, size_t{5})).value_or(0);
    one.state = rows.Text(i, size_t{6});
  }
  return sessions;
}

}  // namespace

io::Task<Status> Resolver::NoteFormer(Deadline deadline) {
  std::string sql = "SHOW PROCESSLIST";
  Result<mysql::QueryResult> rows = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!rows) co_return Fail(rows.error());
  former_.clear();
  for (const Session& one : SessionsIn(*rows)) {
    if (one.user == needs_.app_user) former_.push_back(one.id);
  }
  if (!former_.empty())
    LOG_INFO("{} sessions of an earlier process of this tablet are still there", former_.size());
  co_return Status();
}

io::Task<AttemptsSight> Resolver::AwaitEnd(const std::vector<uint32_t>& attempts,
                                           Deadline deadline) {
  for (;;) {
    AttemptsSight sight = co_await needs_.query->HoldAttempts(attempts);
    const bool any = std::find(sight.runs.begin(), sight.runs.end(), true) != sight.runs.end();
    if (!any || deadline.Passed(loop_.Now())) co_return sight;
    co_await io::SleepUntil(Deadline::In(kLookEvery));
  }
}

io::Task<Status> Resolver::AwaitGone(bool mariadb, std::vector<uint32_t> left, Deadline deadline) {
  if (former_.empty() && left.empty()) co_return Status();
  for (;;) {
    std::string sql = "SHOW PROCESSLIST";
    Result<mysql::QueryResult> rows = co_await needs_.dba->Query(std::move(sql), deadline);
    if (!rows) co_return Fail(rows.error());
    std::vector<Session> sessions = SessionsIn(*rows);
    size_t waiting = 0;
    std::vector<uint64_t> still;
    std::vector<std::string> kills;
    for (const Session& one : sessions) {
      const bool former = std::ranges::find(former_, one.id) != former_.end();
      if (former) still.push_back(one.id);
      if (!former && std::ranges::find(left, one.id) == left.end()) continue;
      ++waiting;
      if (!IsCommitting(one.state) && (one.command == "Sleep" || one.time_s > kRunsLongS))
        kills.push_back(KillText(mariadb, one.id, false));
    }
    former_ = std::move(still);
    if (waiting == 0) co_return Status();
    if (deadline.Passed(loop_.Now())) {
      co_return Fail(Code::kDeadlineExceeded,
                     "{} sessions of an earlier process of this tablet still run", waiting);
    }
    for (std::string& kill : kills) {
      Result<mysql::QueryResult> killed = co_await needs_.dba->Query(std::move(kill), deadline);
      (void)killed;  // it may have gone by itself
    }
    co_await io::SleepUntil(Deadline::In(kLookEvery));
  }
}

io::Task<Result<LogProof>> Resolver::ReadOwnLog(mysqld::Replication& replication,
                                                const std::vector<port::AttemptQuestion>& questions,
                                                Deadline deadline) {
  if (needs_.agent == nullptr)
    co_return Fail(Code::kUnimplemented, "no mysqlctld owns the logs of this tablet");
  // Before the log is read: it holds all of this then.
  Result<gtid::Set> position = co_await replication.Position(deadline);
  if (!position) co_return Fail(position.error());
  std::optional<gtid::Set> known;
  for (const port::AttemptQuestion& question : questions) {
    if (question.sent_to != needs_.alias) continue;
    Result<gtid::Set> since = gtid::Set::ParseEncoded(question.since);
    if (!since || since->Empty()) continue;
    known = known ? known->Intersection(*since) : *since;
  }
  port::WrittenQuery query;
  query.known = known ? known->ToEncoded() : position->ToEncoded();
  Result<port::Written> written = co_await needs_.agent->ReadWritten(std::move(query), deadline);
  if (!written) co_return Fail(written.error());
  std::erase_if(written->attempts, [&questions](const port::WrittenAttempt& one) {
    auto same = [&one](const port::AttemptQuestion& question) {
      return question.attempt == one.attempt;
    };
    return std::none_of(questions.begin(), questions.end(), same);
  });
  std::vector<InsertKey> keys = co_await ReadInsertKeys(*needs_.dba, *written, deadline);
  co_return ProofOf(*written, std::move(*position), keys);
}

io::Task<Status> Resolver::Confirm(Deadline deadline) {
  std::string sql = fmt::format(
      "INSERT INTO {}.heartbeat (keyspaceShard, tabletUid, ts) VALUES ('resolve', {}, {}) ON "
      "DUPLICATE KEY UPDATE tabletUid = VALUES(tabletUid), ts = VALUES(ts)",
      QuoteIdentifier(needs_.sidecar), needs_.alias.uid, loop_.clock().WallNow().unix_ns);
  Result<mysql::QueryResult> done = co_await needs_.dba->Query(std::move(sql), deadline);
  if (!done) co_return Fail(done.error());
  co_return Status();
}

io::Task<Result<std::vector<port::AttemptOutcome>>> Resolver::Resolve(
    mysqld::Replication& replication, std::vector<port::AttemptQuestion> questions,
    Deadline deadline) {
  const Time now = loop_.Now();
  const Duration left = deadline.never() ? Duration(30s) : deadline.Left(now);
  Deadline to_end = Deadline::At(now + left * 6 / 10), to_read = Deadline::At(now + left * 9 / 10);

  std::vector<uint32_t> attempts;
  bool mine = false;
  for (const port::AttemptQuestion& question : questions) {
    attempts.push_back(question.attempt);
    mine = mine || question.sent_to == needs_.alias;
  }
  AttemptsSight sight = co_await AwaitEnd(attempts, to_end);
  std::optional<LogProof> own;
  std::string why_not_own;
  if (mine) {
    Status gone = co_await AwaitGone(replication.version().mariadb(), sight.left, to_end);
    Result<LogProof> proof = Fail(Code::kUnknown, "");
    if (gone) {
      proof = co_await ReadOwnLog(replication, questions, to_read);
    } else {
      proof = Fail(gone.error());
    }
    if (proof) {
      own = std::move(*proof);
    } else {
      why_not_own = proof.error().message();
    }
  }
  Result<std::vector<Promotion>> promotions =
      co_await ReadPromotions(*needs_.dba, needs_.sidecar, to_read);
  if (!promotions) co_return Fail(promotions.error());

  std::vector<port::AttemptOutcome> outcomes;
  std::vector<size_t> to_confirm;
  const int64_t wall_ns = loop_.clock().WallNow().unix_ns;
  for (size_t i = 0; i < questions.size(); ++i) {
    const bool here = questions[i].sent_to == needs_.alias;
    Judgement judgement = Judge(questions[i], *promotions, here && own ? &*own : nullptr, wall_ns);
    port::AttemptOutcome& outcome = outcomes.emplace_back(std::move(judgement.outcome));
    if (i < sight.runs.size() && sight.runs[i]) {
      outcome = {};
      outcome.why = "it still runs";
    } else if (judgement.by_own_log) {
      to_confirm.push_back(i);
    } else if (outcome.fate == port::AttemptOutcome::Fate::kUnknown && here &&
               !why_not_own.empty()) {
      outcome.why = why_not_own;
    }
  }
  for (port::AttemptOutcome& outcome : outcomes) {
    for (port::AttemptOutcome::Change& change : outcome.changes) {
      if (change.updated != 1 || change.inserted + change.deleted != 0) continue;
      change.integer_keys = co_await ReadIntegerKeys(*needs_.dba, change.table, to_read);
    }
  }
  if (to_confirm.empty()) co_return outcomes;
  Status confirmed = co_await Confirm(to_read);
  for (size_t i : to_confirm) {
    if (confirmed) continue;
    outcomes[i] = {};
    outcomes[i].why =
        "it stands in the log and is not acknowledged: " + confirmed.error().message();
  }
  co_return outcomes;
}

}  // namespace paceline::vttablet
