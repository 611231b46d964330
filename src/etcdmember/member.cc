#include "etcdmember/member.h"

#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <utility>

#include "base/log.h"
#include "base/strings.h"
#include "io/blocking.h"

namespace paceline::etcdmember {

namespace etcd = topo::etcd;

namespace {

constexpr Duration kAskLimit = 1s;
constexpr Duration kRoundBusy = 150ms;
constexpr Duration kRoundCalm = 1s;

}  // namespace

struct MemberKeeper::Server {
  std::unique_ptr<etcd::Admin> admin;
};

Result<MemberAddress> ParseMember(std::string_view text) {
  size_t equals = text.find('=');
  std::vector<std::string_view> parts = equals == std::string_view::npos
                                            ? std::vector<std::string_view>()
                                            : Split(text.substr(equals + 1), ':');
  auto port = [&](size_t i) -> uint16_t {
    std::optional<uint64_t> number = ParseUint(parts[i]);
    return number && *number <= 65535 ? static_cast<uint16_t>(*number) : uint16_t{0};
  };
  if (parts.size() == 4 && equals > 0 && !parts[0].empty()) {
    MemberAddress member{std::string(text.substr(0, equals)), std::string(parts[0]), port(1),
                         port(2), port(3)};
    if (member.client_port != 0 && member.peer_port != 0 && member.exchange_port != 0)
      return member;
  }
  return Fail(Code::kInvalidArgument,
              "member \"{}\" is not name=host:client port:peer port:exchange port", text);
}

MemberKeeper::MemberKeeper(io::Loop& loop, MemberOptions options)
    : loop_(loop),
      options_(std::move(options)),
      folder_(options_.data_dir),
      snapshots_(options_.snapshot_dir.empty() ? options_.data_dir + ".snapshots"
                                               : options_.snapshot_dir) {}

MemberKeeper::~MemberKeeper() = default;

std::string MemberKeeper::Url(const std::string& host, uint16_t port) const {
  bool tls = !options_.tls_cert.empty() || !options_.tls_ca.empty();
  return fmt::format("{}://{}:{}", tls ? "https" : "http", host, port);
}

Status MemberKeeper::Start() {
  bool only_here = true;
  std::string members;
  for (const MemberAddress& member : options_.members) {
    if (member.name == options_.name) self_ = &member;
    only_here = only_here && (member.host.starts_with("127.") || member.host == "localhost");
    members += fmt::format("{}={}:{}:{}:{};", member.name, member.host, member.client_port,
                           member.peer_port, member.exchange_port);
  }
  if (self_ == nullptr)
    return Fail(Code::kInvalidArgument, "--name {} is none of --members", options_.name);
  if (options_.secret.empty() && !only_here) {
    return Fail(Code::kInvalidArgument,
                "members on other hosts need --secret-file, by which they know each other");
  }
  RETURN_IF_ERROR(folder_.Lock());
  ASSIGN_OR_RETURN(note_, folder_.Read());
  for (const MemberAddress& member : options_.members) {
    etcd::EtcdOptions to;
    to.endpoints = Url(member.host, member.client_port);
    to.tls_cert = options_.tls_cert;
    to.tls_key = options_.tls_key;
    to.tls_ca = options_.tls_ca;
    auto server = std::make_unique<Server>();
    ASSIGN_OR_RETURN(server->admin, etcd::Admin::Make(loop_, to));
    servers_[member.name] = std::move(server);
  }
  exchange_ = std::make_unique<Exchange>(options_.secret, members, snapshots_);
  RETURN_IF_ERROR(exchange_->Start(
      loop_, options_.bind_address, self().exchange_port, [this] { return OwnSight(); },
      [this] { return Page(); }, [this] { return well_; }));
  io::Detach(Keep(*this));
  return {};
}

io::Task<void> MemberKeeper::Stop() {
  bool left = co_await gate_.Close(Deadline::In(20s));
  if (!left) LOG_WARNING("a step did not end in time");
  Status stopped = co_await StopEtcd(SIGTERM);
  if (!stopped) LOG_WARNING("{}", stopped.error().ToString());
  if (exchange_) exchange_->Stop();
  for (auto& [name, server] : servers_) co_await server->admin->Stop();
}

io::Task<void> MemberKeeper::Keep(MemberKeeper& self) {
  std::optional<io::Gate::Pass> pass = self.gate_.Enter();
  if (pass) co_await self.FindEtcdctl();
  while (pass && !self.gate_.closed()) {
    Duration pause = co_await self.Round();
    Deadline next = Deadline::In(pause);
    // etcd's end is seen at once.
    while (!self.gate_.closed() && !next.Passed(self.loop_.Now())) {
      Deadline slice = Deadline::In(100ms).EarlierOf(next);
      if (self.process_ && self.process_->running()) {
        std::optional<io::ExitStatus> exit = co_await self.process_->WaitExit(slice);
        if (exit) break;
      } else {
        bool open = co_await io::Sleep(self.gate_, slice);
        if (!open) break;
      }
    }
  }
}

io::Task<void> MemberKeeper::FindEtcdctl() {
  if (options_.etcdctl.empty()) {
    std::string beside = options_.etcd.substr(0, options_.etcd.rfind('/') + 1) + "etcdctl";
    std::error_code error;
    bool there =
        options_.etcd.find('/') != std::string::npos && std::filesystem::exists(beside, error);
    options_.etcdctl = there ? beside : "etcdctl";
  }
  io::ProcessOptions version;
  version.argv = {options_.etcdctl, "version"};
  version.env["ETCDCTL_API"] = "3";
  Result<io::CommandResult> ran = co_await io::RunCommand(version, Deadline::In(10s));
  can_restore_ = ran && ran->exit.code == 0;
  if (!can_restore_)
    LOG_WARNING("without {} a lost quorum starts from nothing, not from a snapshot",
                options_.etcdctl);
}

Sight MemberKeeper::OwnSight() const {
  Sight sight;
  sight.answers = true;
  sight.has_data = folder_.HasData();
  sight.nonce = note_.nonce;
  sight.agreed = sight.has_data ? "" : note_.agreed;
  sight.agreed_digest = note_.agreed_digest;
  sight.founded = note_.founded;
  if (can_restore_) sight.snapshot = snapshots_.Newest();
  return sight;
}

void MemberKeeper::NoteExit() {
  if (!process_ || process_->running()) return;
  process_.reset();
  bool quick = answered_at_ < started_at_ || loop_.Now() - started_at_ < 10s;
  failed_starts_ = quick ? failed_starts_ + 1 : 0;
  Duration pause = 100ms * (1 << std::min(failed_starts_, 5));
  may_start_at_ = loop_.Now() + (failed_starts_ > 0 ? pause : Duration(0));
  LOG_WARNING("etcd ended");
}

Status MemberKeeper::Forget() {
  note_ = Note();
  std::error_code ignored;
  std::filesystem::remove(folder_.data_dir() + "/paceline-member.json", ignored);
  ASSIGN_OR_RETURN(note_, folder_.Read());  // with a new nonce
  return {};
}

io::Task<void> MemberKeeper::LookAt(MemberKeeper& self, std::string name,
                                    std::shared_ptr<View> view, std::shared_ptr<io::Gate> all) {
  std::optional<io::Gate::Pass> pass = all->Enter();
  for (const MemberAddress& member : self.options_.members) {
    if (member.name != name) continue;
    std::string address = member.exchange();
    Result<Sight> sight = co_await self.exchange_->Look(address, Deadline::In(kAskLimit));
    if (sight) view->sights[name] = std::move(*sight);
    bool misled = !sight && sight.error().code() != Code::kUnavailable &&
                  sight.error().code() != Code::kDeadlineExceeded;
    if (misled) self.trouble_ = sight.error().ToString();
  }
}

// Whoever has a quorum behind it; our own etcd first.
io::Task<void> MemberKeeper::AskForQuorum(std::shared_ptr<View> view) {
  std::vector<std::string> order;
  if (view->running) order.push_back(options_.name);
  for (const MemberAddress& member : options_.members) {
    if (member.name != options_.name) order.push_back(member.name);
  }
  bool own_serves = view->server && view->server->has_leader && !view->server->learner;
  if (!own_serves && view->running) std::rotate(order.begin(), order.begin() + 1, order.end());
  for (const std::string& name : order) {
    Result<etcd::Membership> members =
        co_await servers_[name]->admin->Members(Deadline::In(kAskLimit));
    if (!members || !IsOurs(*members, view->peer_urls)) continue;
    view->quorum = std::move(*members);
    co_return;
  }
}

io::Task<View> MemberKeeper::Look() {
  NoteExit();
  auto view = std::make_shared<View>();
  view->self = options_.name;
  view->running = process_ != nullptr;
  // What is in the folder is the truth: somebody may have deleted it.
  Result<Note> note = folder_.Read();
  if (note) note_ = *note;
  bool has_data = folder_.HasData();
  if (!has_data && note_.data_seen) {
    Status forgotten = Forget();
    if (!forgotten) trouble_ = forgotten.error().ToString();
  }
  if (view->running) {
    auto status = co_await servers_[options_.name]->admin->Status(Deadline::In(kAskLimit));
    if (status) {
      view->server = *status;
      answered_at_ = loop_.Now();
    }
    Time since = std::max(answered_at_, started_at_);
    view->hung = loop_.Now() - since > options_.hung_after;
  }
  if (has_data) {
    Note now = note_;
    now.data_seen = true;
    now.added_id = 0;
    now.agreed.clear();
    now.agreed_digest.clear();
    if (view->server && view->server->member_id != 0) {
      now.cluster_id = view->server->cluster_id;
      now.member_id = view->server->member_id;
    }
    if (!(now == note_)) {
      Status written = folder_.Write(now);
      if (written) note_ = now;
    }
  }
  view->cluster_id = note_.cluster_id;
  view->member_id = note_.member_id;
  view->added_id = note_.added_id;
  view->failed_starts = failed_starts_;
  for (const MemberAddress& member : options_.members) {
    view->peer_urls[member.name] = Url(member.host, member.peer_port);
    view->sights[member.name];
  }
  co_await AskForQuorum(view);
  if (!has_data && !view->running) {
    auto all = std::make_shared<io::Gate>();
    for (const MemberAddress& member : options_.members) {
      if (member.name != options_.name) io::Detach(LookAt(*this, member.name, view, all));
    }
    bool left = co_await all->Close(Deadline::Never());
    (void)left;
  }
  view->sights[options_.name] = OwnSight();
  co_return std::move(*view);
}

io::Task<Duration> MemberKeeper::Round() {
  trouble_.clear();
  View view = co_await Look();
  Action action = Decide(view);
  std::string told = Describe(action);
  if (told != doing_) LOG_INFO("{}", told);
  doing_ = told;
  well_ = std::holds_alternative<Well>(action);
  if (gate_.closed()) co_return kRoundCalm;
  if (std::holds_alternative<Wait>(action)) co_return kRoundBusy;
  if (well_) {
    failed_starts_ = 0;
    bool due = loop_.Now() - snapshot_at_ >= options_.snapshot_every &&
               view.server->revision != snapshot_revision_;
    if (due) {
      etcd::ServerStatus server = *view.server;
      Status taken = co_await TakeSnapshot(server);
      if (!taken) LOG_WARNING("taking a snapshot: {}", taken.error().ToString());
    }
    co_return kRoundCalm;
  }
  Status done = co_await Do(std::move(action), view);
  if (!done) {
    trouble_ = done.error().ToString();
    LOG_WARNING("{}: {}", told, trouble_);
  }
  co_return kRoundBusy;
}

io::Task<Status> MemberKeeper::Do(Action action, const View& view) {
  if (std::holds_alternative<Kill>(action)) {
    Status killed = co_await StopEtcd(SIGKILL);
    co_return killed;
  }
  if (std::holds_alternative<SetAside>(action)) {
    Status killed = co_await StopEtcd(SIGKILL);
    if (!killed) co_return killed;
    Status aside = folder_.SetAside(loop_.clock().WallNow());
    if (!aside) co_return aside;
    co_return Forget();
  }
  if (const auto* promote = std::get_if<Promote>(&action)) {
    // Any voter passes it on to the leader.
    uint64_t id = promote->id;
    Status promoted = Fail(Code::kUnavailable, "there is no other member");
    for (auto& [name, server] : servers_) {
      if (name == options_.name || promoted) continue;
      promoted = co_await server->admin->Promote(id, Deadline::In(kAskLimit * 2));
    }
    if (!promoted && promoted.error().code() == Code::kFailedPrecondition) co_return Status();
    co_return promoted;
  }
  // The others start etcd or prepare it.
  if (loop_.Now() < may_start_at_) co_return Status();
  if (std::holds_alternative<Run>(action)) {
    // Its log says all this. Should that be deleted just now, etcd must found nothing: this fits no
    // cluster.
    co_return StartEtcd({"--initial-cluster-state", "existing", "--initial-cluster",
                         options_.name + "=http://127.0.0.1:1"});
  }
  if (const auto* agree = std::get_if<Agree>(&action)) {
    Note now = note_;
    now.agreed = agree->token;
    now.agreed_digest = agree->digest;
    now.founded.clear();
    if (!now.agreed_digest.empty()) {
      Status brought = co_await Bring(now.agreed_digest, view);
      if (!brought) co_return brought;
    }
    Status written = folder_.Write(now);
    if (written) note_ = now;
    co_return written;
  }
  if (const auto* found = std::get_if<Found>(&action)) {
    std::string token = found->token, digest = found->digest;
    Status founded = co_await FoundFrom(token, digest);
    co_return founded;
  }
  if (const auto* join = std::get_if<etcdmember::Join>(&action)) {
    co_return StartEtcd(
        {"--initial-cluster-state", "existing", "--initial-cluster", join->initial_cluster});
  }
  Status forgotten = Forget();
  if (!forgotten) co_return forgotten;
  Status last = Fail(Code::kUnavailable, "no member answers");
  std::string peer_url = Url(self().host, self().peer_port);
  const auto* remove = std::get_if<RemoveOldSelf>(&action);
  uint64_t old_id = remove != nullptr ? remove->id : 0;
  for (auto& [name, server] : servers_) {
    if (name == options_.name || last) continue;
    if (old_id != 0) {
      last = co_await server->admin->Remove(old_id, Deadline::In(kAskLimit * 3));
      continue;
    }
    Result<etcd::Member> added =
        co_await server->admin->AddLearner(peer_url, Deadline::In(kAskLimit * 3));
    if (!added) {
      last = Fail(added.error());
      continue;
    }
    Note now = note_;
    now.added_id = added->id;
    last = folder_.Write(now);
    if (last) note_ = now;
  }
  co_return last;
}

Status MemberKeeper::StartEtcd(std::vector<std::string> more) {
  const std::string& bind = options_.bind_address.empty() ? "0.0.0.0" : options_.bind_address;
  io::ProcessOptions options;
  options.argv = {options_.etcd,
                  "--name",
                  options_.name,
                  "--data-dir",
                  folder_.data_dir(),
                  "--listen-client-urls",
                  Url(bind, self().client_port),
                  "--advertise-client-urls",
                  Url(self().host, self().client_port),
                  "--listen-peer-urls",
                  Url(bind, self().peer_port),
                  "--initial-advertise-peer-urls",
                  Url(self().host, self().peer_port),
                  "--auto-compaction-mode",
                  "periodic",
                  "--auto-compaction-retention",
                  "1h",
                  "--logger",
                  "zap"};
  const std::pair<const char*, const std::string&> tls[] = {{"cert-file", options_.tls_cert},
                                                            {"key-file", options_.tls_key},
                                                            {"trusted-ca-file", options_.tls_ca}};
  for (const auto& [flag, file] : tls) {
    if (file.empty()) continue;
    for (const char* kind : {"--", "--peer-"}) {
      options.argv.push_back(std::string(kind) + flag);
      options.argv.push_back(file);
    }
  }
  if (!options_.tls_ca.empty()) {
    for (const char* flag : {"--client-cert-auth", "--peer-client-cert-auth"})
      options.argv.emplace_back(flag);
  }
  options.argv.insert(options.argv.end(), more.begin(), more.end());
  options.argv.insert(options.argv.end(), options_.etcd_args.begin(), options_.etcd_args.end());
  options.env["ETCD_UNSUPPORTED_ARCH"] = "arm64";
  options.ends_with_parent = true;  // the next wrapper starts it anew
  started_at_ = loop_.Now();
  ASSIGN_OR_RETURN(process_, io::Process::Start(loop_, options));
  return {};
}

io::Task<Status> MemberKeeper::StopEtcd(int signal) {
  if (!process_) co_return Status();
  Status asked = process_->Signal(signal);
  std::optional<io::ExitStatus> exit = co_await process_->WaitExit(Deadline::In(5s));
  if (!exit && signal != SIGKILL) {
    asked = process_->Signal(SIGKILL);
    exit = co_await process_->WaitExit(Deadline::In(5s));
  }
  if (!exit)
    co_return Fail(Code::kDeadlineExceeded, "etcd (process {}) does not end", process_->pid());
  process_.reset();
  co_return Status();
}

io::Task<Status> MemberKeeper::Bring(std::string digest, View view) {
  if (!snapshots_.FileOf(digest).empty()) co_return Status();
  Status brought = Fail(Code::kNotFound, "nobody has snapshot {}", digest);
  for (const MemberAddress& member : options_.members) {
    const SnapshotId& there = view.sights[member.name].snapshot;
    if (brought || there.digest != digest) continue;
    std::string address = member.exchange();
    SnapshotId id = there;
    brought = co_await exchange_->Fetch(address, id, Deadline::In(60s));
  }
  co_return brought;
}

io::Task<Status> MemberKeeper::FoundFrom(std::string token, std::string digest) {
  Note now = note_;
  now.founded = token;
  Status written = folder_.Write(now);
  if (!written) co_return written;
  note_ = now;
  std::map<std::string, std::string> urls;
  for (const MemberAddress& member : options_.members)
    urls[member.name] = Url(member.host, member.peer_port);
  std::vector<std::string> cluster = {"--initial-cluster", InitialCluster(urls),
                                      "--initial-cluster-token", "paceline-" + token};
  if (!digest.empty()) {
    std::string file = snapshots_.FileOf(digest);
    if (file.empty()) co_return Fail(Code::kNotFound, "snapshot {} is no longer here", digest);
    std::string made = folder_.data_dir() + ".restored";
    std::error_code ignored;
    std::filesystem::remove_all(made, ignored);
    io::ProcessOptions restore;
    restore.argv = {options_.etcdctl,
                    "snapshot",
                    "restore",
                    file,
                    "--name",
                    options_.name,
                    "--data-dir",
                    made,
                    "--initial-advertise-peer-urls",
                    Url(self().host, self().peer_port)};
    restore.argv.insert(restore.argv.end(), cluster.begin(), cluster.end());
    restore.env["ETCDCTL_API"] = "3";
    Result<io::CommandResult> done = co_await io::RunCommand(restore, Deadline::In(60s));
    if (!done) co_return Fail(done.error().Context("restoring a snapshot"));
    if (done->exit.code != 0)
      co_return Fail(Code::kUnknown, "restoring {}: {}", file, Trim(done->output));
    Status taken = folder_.TakeOver(made);
    if (!taken) co_return taken;
  }
  cluster.insert(cluster.end(), {"--initial-cluster-state", "new"});
  co_return StartEtcd(cluster);
}

io::Task<Status> MemberKeeper::TakeSnapshot(etcd::ServerStatus server) {
  snapshot_at_ = loop_.Now();
  Result<std::string> fresh = snapshots_.Fresh();
  if (!fresh) co_return Fail(fresh.error());
  SnapshotId id;
  id.taken_unix_ns = loop_.clock().WallNow().unix_ns;
  id.cluster_id = server.cluster_id;
  id.revision = server.revision;
  Status taken = co_await servers_[options_.name]->admin->Snapshot(*fresh, Deadline::In(30s));
  if (!taken) co_return taken;
  std::function<Result<std::string>()> check = [file = *fresh] { return Snapshots::Check(file); };
  Result<std::string> digest = co_await io::RunBlocking<Result<std::string>>(check);
  if (!digest) co_return Fail(digest.error());
  id.digest = *digest;
  snapshot_revision_ = server.revision;
  co_return snapshots_.Adopt(*fresh, id);
}

std::string MemberKeeper::Page() const {
  SnapshotId newest = snapshots_.Newest();
  std::string text = fmt::format("etcd-member {}\n{}\n", options_.name, doing_);
  if (!trouble_.empty()) text += trouble_ + "\n";
  text += fmt::format("data: {} ({})\n", folder_.data_dir(), folder_.HasData() ? "there" : "none");
  text += fmt::format("member {:x} of cluster {:x}\n", note_.member_id, note_.cluster_id);
  if (newest.digest.empty()) return text + "snapshots: none\n";
  return text + fmt::format("snapshots: {}, the newest of revision {}\n", snapshots_.dir(),
                            newest.revision);
}

}  // namespace paceline::etcdmember
