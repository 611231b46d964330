// vtgate/session.h - one client's session, independent of its protocol: target, settings,
// transaction, pinned connection, what LAST_INSERT_ID and its like answer. Statements come in
// order, one at a time. Threads: its loop.
//
// A session owns no connection of a tablet unless it must: a transaction or a state that cannot be
// carried elsewhere (plan::PinReason) pins one. Everything else is carried as SessionSettings and
// put on whichever pooled connection the tablet chooses.
//
// When a tablet or the way to it is lost, loss.h decides what follows: requests wait for the next
// primary, a write whose answer was lost is settled by evidence, an open transaction is replayed
// from its Transcript (session_send.cc, session_recover.cc).
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/time.h"
#include "io/sync.h"
#include "io/task.h"
#include "mysql/wire/session_state.h"
#include "plan/cache.h"
#include "plan/plan.h"
#include "port/query_service.h"
#include "vtgate/answer_sink.h"
#include "vtgate/failover.h"
#include "vtgate/failover_metrics.h"
#include "vtgate/gateway.h"
#include "vtgate/loss.h"
#include "vtgate/pin_ledger.h"
#include "vtgate/query_metrics.h"
#include "vtgate/read_after_write.h"
#include "vtgate/settings.h"
#include "vtgate/state_tracking.h"
#include "vtgate/transcript.h"

namespace paceline::vtgate {

// What a gate knows of the topology; immutable, replaced as a whole.
struct TopologyView {
  std::shared_ptr<const vschema::Snapshot> vschema;
  std::map<std::string, std::vector<std::string>, std::less<>> shards;  // keyspace -> its shards
};

// Whether a target string names a keyspace that is there, or a system schema. Errors: 1049.
Status CheckDatabase(const TopologyView& topology, std::string_view target);

// Who is connected, over all loops: for KILL and SHOW VITESS_SESSIONS. Threads: any.
// One line of SHOW VITESS_SESSIONS.
struct SessionRow {
  uint64_t id = 0;
  std::string user, host, target;
  std::string state;      // running, transaction or idle
  std::string pinned;     // why its connection is its own; empty: it shares
  std::string statement;  // what runs now
};

// The client sessions of the process.
class SessionRegistry {
 public:
  virtual ~SessionRegistry() = default;
  // False when there is no such connection.
  virtual bool Kill(uint64_t connection_id, bool query_only) = 0;
  // As each session's own loop sees it now, by id; those of a loop that is busy until `deadline`
  // are missing. Call on a loop.
  virtual io::Task<std::vector<SessionRow>> List(Deadline deadline) = 0;
};

class StatementStats;
class QueryLog;

// What the sessions of one loop share.
struct GateContext {
  Gateway* gateway = nullptr;
  SessionRegistry* registry = nullptr;
  std::shared_ptr<const TopologyView> topology;  // replaced on the loop
  plan::PlanCache plans{32 << 20};
  Duration query_timeout = 1h;
  FailoverOptions failover;
  FailoverMetrics* metrics = &FailoverMetrics::Process();
  QueryProbe probe{QueryMetrics::Process()};
  AttemptNumbers attempts{ThreadRng()};
  size_t transcript_bytes = 0;  // of all open transactions
  ReadAfterWriteOptions read_after_write;
  std::string server_version;            // of the servers behind, once known (version_probe.h)
  StatementStats* statements = nullptr;  // null: not counted
  QueryLog* query_log = nullptr;         // null: none
  struct Counters {
    uint64_t queries = 0, errors = 0, retries = 0;
  } counters;
};

// "MariaDB" in a server's version makes the flavor.
sql::Flavor FlavorOfVersion(std::string_view version);

struct SessionIdentity {
  uint64_t connection_id = 0;
  std::string user;
  std::string host;
  std::vector<std::string> groups;
  std::string principal;  // the effective caller of a gRPC client
  bool found_rows = false;
  bool multi_statements = false;
  bool local_files = false;  // the client sends files for LOAD DATA LOCAL
};

// A prepared statement as the client knows it; the server-side ones live on the tablets'
// connections.
struct PreparedStatement {
  std::string text;
  uint16_t parameter_count = 0;
};

class AnswerDigest;

class Session {
 public:
  Session(GateContext& gate, SessionIdentity identity, sql::Dialect dialect);
  ~Session();
  Session(const Session&) = delete;

  // One command each. The answer, errors included, goes to the sink; a failed Status means that the
  // answer was cut in the middle or may not be given (an unknown outcome), so the connection must
  // be closed.
  io::Task<Status> Query(std::string_view text, AnswerSink& sink);
  io::Task<Status> Prepare(std::string_view text, AnswerSink& sink);
  io::Task<Status> Execute(const PreparedStatement& statement, std::string_view parameters,
                           AnswerSink& sink);

  // COM_INIT_DB, USE, the database of the login. Errors: 1049.
  Status Use(std::string_view target);
  void SetCollation(std::string_view charset, std::string_view collation);
  // CLIENT_IGNORE_SPACE of the login: one more word in its sql_mode. Before SetCollation.
  void IgnoreSpace();
  // Back to what a new session has; ends its transaction.
  io::Task<Status> Reset();
  io::Task<void> Close();
  // Ends the running statement; `reason` for logs.
  void KillQuery();

  const SessionIdentity& identity() const { return identity_; }
  bool in_transaction() const { return in_transaction_; }
  bool autocommit() const { return autocommit_; }
  const plan::SessionTarget& target() const { return target_; }
  // Comma separated reasons, empty when the session shares connections.
  std::string PinnedBecause() const;
  uint16_t StatusFlags() const;
  const std::string& running() const { return running_; }
  bool closing() const { return closing_; }

  // For fronts whose clients carry the session from call to call.
  struct Pin {
    uint64_t id = 0;  // 0: none
    record::TabletAlias tablet;
    record::Target target;
    bool reserved = false;  // for more than a transaction
  };
  Pin pin() const { return {pinned_.id, pinned_.on.alias, pinned_.target, !pins_.empty()}; }
  const plan::SessionValues& values() const { return values_; }
  const std::vector<port::Warning>& warnings() const { return warnings_; }
  const SessionSettings& settings() const { return settings_; }
  const StateTracking& tracking() const { return tracking_; }
  // What the statement before left behind, in a session made anew.
  void Recall(uint64_t last_insert_id, uint64_t found_rows, int64_t row_count);
  void SetFoundRows(bool on) { identity_.found_rows = on; }
  void SetMultiStatements(bool on) { identity_.multi_statements = on; }

 private:
  struct Pinned {
    uint64_t id = 0;
    Chosen on;
    record::Target target;
  };
  struct Statement {  // one run
    std::string_view text;
    std::string_view parameters;
    port::StatementKind kind = port::StatementKind::kText;
    AnswerSink* sink = nullptr;
    Deadline deadline = Deadline::Never();
    bool more = false;
    bool commits = false;  // COMMIT, whatever the plan says
  };
  struct Run;  // one statement on its way to a tablet: session_send.h

  io::Task<Status> RunOne(Statement statement);
  io::Task<Status> RunUncounted(Statement statement);
  io::Task<Status> PrepareUncounted(std::string_view text, AnswerSink* sink);
  void Count(std::string_view operation, const plan::SessionTarget& target, Time began,
             const AnswerSink& sink, const Status& done);
  io::Task<Status> RunPlan(Statement statement, const plan::Plan& plan);
  io::Task<Status> RunGateTask(Statement statement, const plan::Plan& plan);
  // Sends to a tablet and takes up what it says about the session.
  io::Task<Status> Send(Statement statement, const plan::Plan& plan, std::string_view text,
                        std::string begin);
  void StartTry(Run& run);
  // Whether the answer belongs into the transcript.
  bool Records(const Run& run) const;
  void Remember(Run& run, const AnswerDigest* digest);
  Loss LossOf(const Run& run) const;
  // Forgets the connection that was lost, and what was bound to it.
  void LoseConnection(const Loss& loss, Remedy remedy);
  // What to do next: kAgain, or what the client is to be told.
  io::Task<Remedy> Recover(Run* run, Loss loss);
  io::Task<port::AttemptOutcome> ResolveAttempt(Run* run);
  // Until the replica that was picked has what this session wrote. Where it does not come in time,
  // the statement goes to the primary, or fails. Errors: what the client is told.
  io::Task<Status> AwaitOwnWrites(Run* run);
  // Brings the open transaction to the primary. Errors: why that did not work; nothing of it is
  // left anywhere then.
  io::Task<Status> Replay(Run* run);
  io::Task<Status> ReplayOn(Run* run, Chosen on, Attempt attempt);
  Status Tell(Run& run, const Loss& loss, Remedy remedy);
  void TellDone(Run& run);
  Status TellResult(Run& run, const Loss& loss);
  Result<record::Target> TargetOf(const plan::Plan& plan) const;
  // `had_transaction`: the statement ran in a transaction, or with the text that begins one.
  void TakeUp(const mysql::wire::Terminator& end, const plan::Plan& plan,
              port::QueryEnd&& query_end, bool had_transaction);

  io::Task<Status> RunSet(Statement statement, const plan::Plan& plan);
  // The statement itself, on a connection that forgets it afterwards: what is wrong is refused, and
  // the answer is the server's own.
  io::Task<Status> SendSet(Statement statement, const plan::Plan& plan);
  io::Task<Status> LoadLocal(Statement statement, const plan::Plan& plan);  // session_load.cc
  io::Task<Status> EndTransaction(Statement statement, const plan::Plan& plan);
  io::Task<Status> Begin(Statement statement, const plan::Plan& plan);
  bool BeginsReadOnly(const plan::Plan& plan) const;
  io::Task<Status> SendIfPinned(Statement statement, const plan::Plan& plan);

  void NoteExplicit(const plan::Plan& plan);
  void NoteStatement(const Statement& statement, const plan::Plan& plan, Duration took);
  // A plain read outside transactions, of a session that wants those on replicas.
  bool ReadsReplica(const Statement& statement, const Run& run) const;
  void NewDiagnostics();
  // A SET of what no session may set.
  std::optional<Error> RefusedSet(const plan::Plan& plan) const;
  port::SettingsPtr ReservedSettings() const;
  // Ends pins of which nothing is left (session_pins.cc).
  io::Task<Status> Settle(Statement statement, const plan::Plan& plan);
  // Why this statement keeps its connection for the session.
  plan::PinReason PinOf(const Statement& statement, const plan::Plan& plan) const;
  // Its answer does not tell what LAST_INSERT_ID() and FOUND_ROWS() are now.
  bool WantsProbe(const plan::Plan& plan) const;
  io::Task<void> Probe(Deadline deadline);
  // The rows of a statement of the gate's own on the pinned connection; empty when it fails.
  io::Task<std::vector<std::vector<std::string>>> Ask(std::string text, Deadline deadline);
  // A tablet's answer with rows of the gate's own.
  io::Task<Status> SendSubstituted(Statement statement, const plan::Plan& plan,
                                   std::vector<std::vector<std::optional<std::string>>> rows);
  void TakeWarnings(std::vector<port::Warning> warnings, const plan::Plan& plan);
  Error SecondStatement(std::string_view text) const;
  // CREATE, DROP DATABASE: what can be said without a change of the topology.
  Status AnswerDatabaseDdl(const Statement& statement, const plan::Plan& plan);
  // PREPARE s FROM @text, where the text is known here: with the names of the tablets in it.
  io::Task<std::optional<std::string>> PrepareFromVariable(Statement statement,
                                                           const plan::Plan& plan);
  // Session state that the client is told of together with the next OK.
  void TellState(mysql::wire::SessionStateEntry entry);
  void StartAnswer(const Statement& statement, std::string_view keyspace);
  void WriteOk(const Statement& statement);
  Status WriteError(const Statement& statement, const Error& error);
  io::Task<void> Unpin();
  std::string BeginFor(const plan::Plan& plan);
  std::string BeginText() const;

  GateContext& gate_;
  SessionIdentity identity_;
  sql::Dialect dialect_, first_dialect_;
  plan::SessionTarget target_;
  SessionSettings settings_, first_settings_;
  port::Caller caller_;
  bool autocommit_ = true;
  bool in_transaction_ = false;
  bool closing_ = false;
  bool begin_read_only_ = false;
  std::string begin_text_;        // what the client began with, while no tablet has it yet
  std::string next_transaction_;  // SET TRANSACTION without a scope
  std::set<plan::PinReason> pins_;
  PinLedger ledger_;
  StateTracking tracking_ = TrackingOf(SessionSettings());
  TerminatorContext::Explicit explicit_ = TerminatorContext::Explicit::kNone;
  uint64_t insert_id_before_ = 0;  // LAST_INSERT_ID() before the statement under way
  std::string told_state_;         // of the statement under way
  bool rename_rows_ = false;       // likewise
  bool reads_insert_ids_ =
      false;  // has asked for LAST_INSERT_ID(): the OK of an INSERT is not enough
  Pinned pinned_;
  ReadAfterWrite own_writes_;
  std::unique_ptr<Transcript> transcript_;  // while a tablet has a transaction of this session
  plan::SessionValues values_;
  std::vector<port::Warning> warnings_;
  // The last statement's diagnostics are in warnings_, and not only on the pinned connection.
  bool own_diagnostics_ = true;
  uint64_t probed_found_rows_ = 0, probed_insert_id_ = 0;
  std::string buffer_;  // a rendered statement
  std::string running_;
  Run* run_ = nullptr;  // the one on its way
};

}  // namespace paceline::vtgate
