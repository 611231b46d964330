#include "backup/load.h"

#include "base/log.h"
#include "base/strings.h"
#include "io/sync.h"
#include "mysqld/version.h"

namespace paceline::backup {
namespace {

using Kind = DumpRecord::Kind;

constexpr uint16_t kCannotUser = 1396;
// As a session that loads rows has them.
constexpr const char* kBaseline =
    "SET NAMES binary, sql_mode = 'NO_AUTO_VALUE_ON_ZERO', time_zone = '+00:00'";

io::Task<Result<std::unique_ptr<mysql::Connection>>> OpenSession(mysql::ConnectOptions options,
                                                                 bool log, Deadline deadline) {
  auto opened = co_await mysql::Connection::Connect(std::move(options), deadline);
  if (!opened) co_return Fail(opened.error());
  std::vector<std::string> settings = {
      kBaseline,
      "SET SESSION foreign_key_checks = 0, unique_checks = 0, innodb_strict_mode = 0, "
      "wait_timeout = 86400",
      (*opened)->is_mariadb()
          ? "SET SESSION check_constraint_checks = 0, max_statement_time = 0"
          : "SET SESSION sql_require_primary_key = 0, sql_generate_invisible_primary_key = 0, "
            "max_execution_time = 0"};
  if (!log) settings.push_back("SET SESSION sql_log_bin = 0");
  for (size_t i = 0; i < settings.size(); ++i) {
    Result<mysql::QueryResult> set = co_await (*opened)->Query(settings[i], deadline);
    if (!set) co_return Fail(set.error().Context("preparing a session to load a dump"));
  }
  co_return std::move(*opened);
}

Error Naming(const DumpRecord& record, const Error& error) {
  return error.Context(fmt::format("loading {} {}{}{}", DumpKindName(record.kind), record.schema,
                                   record.schema.empty() ? "" : ".", record.name));
}

}  // namespace

struct Loader::State {
  explicit State(size_t room) : rows(room) {}
  io::Channel<DumpRecord> rows;
  size_t pending = 0;  // records that are not inserted yet
  size_t running = 0;  // sessions that insert
  uint64_t inserted = 0;
  io::Event changed;  // pulsed
  Status failed;
};

Loader::~Loader() = default;

io::Task<Result<std::unique_ptr<Loader>>> Loader::Open(LoadOptions options, Deadline deadline) {
  std::unique_ptr<Loader> loader(new Loader());
  const size_t writers = std::max<size_t>(options.writers, 1);
  for (size_t i = 0; i < writers + 1; ++i) {
    auto opened = co_await OpenSession(options.server, options.log, deadline);
    if (!opened) co_return Fail(opened.error());
    loader->sessions_.push_back(std::move(*opened));
  }
  loader->state_ = std::make_shared<State>(writers);
  for (size_t i = 1; i < loader->sessions_.size(); ++i) {
    ++loader->state_->running;
    io::Detach(Insert(loader->state_, *loader->sessions_[i]));
  }
  co_return std::move(loader);
}

io::Task<void> Loader::Insert(std::shared_ptr<State> state, mysql::Connection& session) {
  for (;;) {
    Result<std::optional<DumpRecord>> next = co_await state->rows.Pop(Deadline::Never());
    if (!next || !*next) break;
    DumpRecord record = std::move(**next);
    if (state->failed) {
      std::string sql = std::move(record.sql);
      Result<mysql::QueryResult> done =
          co_await session.Query(std::move(sql), Deadline::In(std::chrono::hours(1)));
      if (done) state->inserted += done->end.affected_rows;
      if (!done && state->failed) state->failed = Fail(Naming(record, done.error()));
    }
    --state->pending;
    state->changed.Pulse();
  }
  --state->running;
  state->changed.Pulse();
}

io::Task<void> Loader::Stop() {
  state_->rows.Close();
  if (!state_->failed || !ended_) {
    for (auto& session : sessions_) session->Close();
  }
  while (state_->running > 0) {
    bool woken = co_await state_->changed.Wait(Deadline::Never());
    (void)woken;
  }
}

io::Task<Status> Loader::Write(std::string_view bytes, Deadline deadline) {
  parser_.Feed(bytes);
  for (;;) {
    Result<std::optional<DumpRecord>> record = parser_.Next();
    if (!record) co_return Fail(record.error());
    if (!*record) co_return state_->failed;
    Status taken = co_await Take(std::move(**record), deadline);
    if (!taken) co_return taken;
  }
}

io::Task<Status> Loader::Take(DumpRecord record, Deadline deadline) {
  if (!state_->failed) co_return state_->failed;
  if (record.kind == Kind::kHeader || !begun_) {
    Result<DumpHeader> header = ParseHeader(record);
    if (!header) co_return Fail(header.error());
    Result<mysqld::ServerVersion> from = mysqld::ParseVersionText(header->server_version);
    if (!from) co_return Fail(Code::kDataLoss, "a dump of {}", header->server_version);
    same_flavor_ = from->mariadb() == session().is_mariadb();
    report_.header = std::move(*header);
    begun_ = true;
    co_return Status();
  }
  if (record.kind == Kind::kRows) {
    ++state_->pending;
    Status pushed = co_await state_->rows.Push(std::move(record), deadline);
    if (!pushed) --state_->pending;
    co_return pushed;
  }
  Status quiet = co_await Quiet(deadline);
  if (!quiet) co_return quiet;
  Status made = co_await Make(std::move(record), deadline);
  co_return made;
}

io::Task<Status> Loader::Quiet(Deadline deadline) {
  while (state_->pending > 0 && state_->failed) {
    bool woken = co_await state_->changed.Wait(deadline);
    if (!woken) co_return Fail(Code::kDeadlineExceeded, "loading rows");
  }
  co_return state_->failed;
}

io::Task<Status> Loader::Make(DumpRecord record, Deadline deadline) {
  if (record.kind == Kind::kEnd) {
    Result<uint64_t> rows = ParseEnd(record);
    if (!rows) co_return Fail(rows.error());
    if (*rows != state_->inserted) {
      co_return Fail(Code::kDataLoss, "{} rows were dumped, {} loaded", *rows, state_->inserted);
    }
    ended_ = true;
    report_.rows = *rows;
    Status views = co_await MakeViews(deadline);
    co_return views;
  }
  if (record.kind == Kind::kAccount && !same_flavor_) co_return Status();
  if (record.kind != Kind::kView && !views_.empty()) {
    Status views = co_await MakeViews(deadline);
    if (!views) co_return views;
  }
  Status ran = co_await RunIn(record, deadline);
  if (ran || !ran.error().from_mysql()) co_return ran;
  if (record.kind == Kind::kView) {
    views_.push_back(std::move(record));
    co_return Status();
  }
  if (record.kind == Kind::kAccount) {
    // One that this server was made with is what its configuration says.
    if (ran.error().mysql_errno() != kCannotUser)
      report_.left_out.push_back(Naming(record, ran.error()).message());
    co_return Status();
  }
  co_return Fail(Naming(record, ran.error()));
}

// As long as one more of them can be made.
io::Task<Status> Loader::MakeViews(Deadline deadline) {
  while (!views_.empty()) {
    std::vector<DumpRecord> left;
    std::vector<std::string> why;
    for (size_t i = 0; i < views_.size(); ++i) {
      Status made = co_await RunIn(views_[i], deadline);
      if (made) continue;
      if (!made.error().from_mysql()) co_return made;
      why.push_back(Naming(views_[i], made.error()).message());
      left.push_back(std::move(views_[i]));
    }
    const bool stuck = left.size() == views_.size();
    views_ = std::move(left);
    if (!stuck) continue;
    // They were of no use where they came from either.
    for (std::string& one : why) report_.left_out.push_back(std::move(one));
    views_.clear();
  }
  co_return Status();
}

// In its schema, and as the session was that made it.
io::Task<Status> Loader::RunIn(const DumpRecord& record, Deadline deadline) {
  if (!record.schema.empty() && schema_ != record.schema) {
    Status used = co_await session().UseDatabase(record.schema, deadline);
    if (!used) co_return used;
    schema_ = record.schema;
  }
  std::string set = "SET sql_mode = " + QuoteText(record.sql_mode);
  std::string charset = record.charset, collation = record.collation;
  if (!same_flavor_) collation = InWordsOf(session().is_mariadb(), std::move(collation));
  if (!charset.empty()) set += ", character_set_client = " + charset;
  if (!collation.empty()) set += ", collation_connection = " + collation;
  if (!record.time_zone.empty()) set += ", time_zone = " + QuoteText(record.time_zone);
  Result<mysql::QueryResult> done = co_await session().Query(std::move(set), deadline);
  if (!done) co_return Fail(done.error());
  std::string sql = record.sql;
  if (!same_flavor_) sql = InWordsOf(session().is_mariadb(), std::move(sql));
  Result<mysql::QueryResult> ran = co_await session().Query(std::move(sql), deadline);
  std::string back = kBaseline;
  done = co_await session().Query(std::move(back), deadline);
  if (!ran) co_return Fail(ran.error());
  if (!done) co_return Fail(done.error());
  co_return Status();
}

io::Task<Result<LoadReport>> Loader::Finish(Deadline deadline) {
  Status quiet = co_await Quiet(deadline);
  if (!quiet) co_return Fail(quiet.error());
  if (!ended_ || parser_.left() > 0) co_return Fail(Code::kDataLoss, "the dump was cut short");
  co_return std::move(report_);
}

}  // namespace paceline::backup
