#include "backup/live.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "base/log.h"
#include "base/strings.h"
#include "gtid/set.h"
#include "io/process.h"
#include "io/stream.h"
#include "mysqld/folder.h"

namespace paceline::backup {
namespace {

constexpr size_t kReadBytes = 256 << 10;
// What preparing may take beside the servers that run here.
constexpr const char* kPrepareMemory = "--use-memory=64M";

std::string LastLines(const std::string& path) {
  uint64_t size = 0;
  if (int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC); fd >= 0) {
    off_t end = lseek(fd, 0, SEEK_END);
    size = end > 0 ? static_cast<uint64_t>(end) : 0;
    close(fd);
  }
  uint64_t from = size > 600 ? size - 600 : 0;
  return ReplaceAll(std::string(Trim(mysqld::ReadFileFrom(path, from, 600))), "\n", "; ");
}

// The plugin's errors that another donor or another try may cure.
bool DonorIsAway(const Error& error) {
  // ER_CLONE_DONOR with a network errno in its text, ER_QUERY_INTERRUPTED, and what the connection
  // to the donor reports.
  std::string_view text = error.message();
  return text.find("Connection") != text.npos || text.find("connect") != text.npos ||
         text.find("network") != text.npos || text.find("Lost") != text.npos ||
         text.find("interrupted") != text.npos || text.find("shutdown") != text.npos;
}

io::Task<Status> RunClone(mysqld::Admin& server, mysqld::Statements statements, Deadline deadline) {
  Status done = co_await server.Run(std::move(statements), deadline);
  if (done) co_return Status();
  Error error = done.error();
  if (!error.from_mysql()) co_return Fail(error.Context("cloning"));
  Code code = DonorIsAway(error) ? Code::kUnavailable : Code::kFailedPrecondition;
  co_return Fail(code, "cloning: {}", error.message());
}

}  // namespace

uint64_t DataBytes(const mysqld::Layout& layout) {
  namespace fs = std::filesystem;
  uint64_t bytes = 0;
  for (const std::string& folder : {layout.data(), layout.innodb_data()}) {
    std::error_code error;
    fs::recursive_directory_iterator at(folder, error), end;
    while (!error && at != end) {
      std::string name = at->path().filename().string();
      bool skipped = name.starts_with("ib_logfile") || name.starts_with("ibtmp") ||
                     name.starts_with("#innodb_");
      std::error_code gone;
      if (skipped && at->is_directory(gone)) at.disable_recursion_pending();
      struct stat file;
      if (!skipped && lstat(at->path().c_str(), &file) == 0 && S_ISREG(file.st_mode))
        bytes += static_cast<uint64_t>(file.st_blocks) * 512;
      at.increment(error);
    }
  }
  return bytes;
}

io::Task<Status> CloneRemote(mysqld::Admin& recipient, CloneDonor donor, std::string target,
                             Deadline deadline) {
  mysqld::Statements statements = {
      fmt::format("SET GLOBAL clone_valid_donor_list = {}",
                  QuoteText(fmt::format("{}:{}", donor.host, donor.port))),
      fmt::format("CLONE INSTANCE FROM {}@{}:{} IDENTIFIED BY {} DATA DIRECTORY = {}",
                  QuoteText(donor.user), QuoteText(donor.host), donor.port,
                  QuoteText(donor.password), QuoteText(target))};
  Status cloned = co_await RunClone(recipient, std::move(statements), deadline);
  co_return cloned;
}

io::Task<Status> CloneLocal(mysqld::Admin& server, std::string target, Deadline deadline) {
  mysqld::Statements statements = {
      fmt::format("CLONE LOCAL DATA DIRECTORY = {}", QuoteText(target))};
  Status cloned = co_await RunClone(server, std::move(statements), deadline);
  co_return cloned;
}

namespace {

// The standard output of a program into `sink`; its words go to `log`.
io::Task<Status> StreamProgram(io::Loop& loop, io::ProcessOptions command, io::ByteSink& sink,
                               io::Gate& gate, Deadline deadline) {
  Result<std::pair<int, int>> ends = io::MakeSocketPair();
  if (!ends) co_return Fail(ends.error());
  auto output = std::make_unique<io::Socket>(loop, ends->first);
  command.stdout_fd = ends->second;
  command.new_session = false;
  unlink(command.output_file.c_str());
  Result<std::unique_ptr<io::Process>> process = io::Process::Start(loop, command);
  close(ends->second);
  if (!process) co_return Fail(process.error().Context("streaming data"));
  auto buffer = std::make_unique<char[]>(kReadBytes);
  Status written;
  while (written && !gate.closed()) {
    Deadline turn = Deadline::In(1s).EarlierOf(deadline);
    Result<size_t> got = co_await output->Read(buffer.get(), kReadBytes, turn);
    if (!got) {
      if (got.error().code() != Code::kDeadlineExceeded) break;  // its end
      if (deadline.Passed(loop.Now())) written = Fail(got.error());
      // Lets the sink end it while nothing comes.
      std::string_view nothing;
      if (written) written = co_await sink.Write(nothing, deadline);
      continue;
    }
    written = co_await sink.Write(std::string_view(buffer.get(), *got), deadline);
  }
  if (written && gate.closed()) written = Fail(Code::kCanceled, "streaming data: stopping");
  if (!written) {
    [[maybe_unused]] Status killed = (*process)->Signal(SIGKILL);
  }
  Deadline reap = Deadline::In(30s);
  std::optional<io::ExitStatus> exit = co_await (*process)->WaitExit(reap);
  if (!written) co_return written;
  if (!exit || exit->code != 0) {
    co_return Fail(Code::kInternal, "{} ended with {}: {}", command.argv[0],
                   exit ? exit->ToString() : "no exit", LastLines(command.output_file));
  }
  co_return Status();
}

// From mariabackup's words: "... position '330', GTID of the last change '0-100-3'".
Result<std::string> PositionInLog(const std::string& log) {
  std::string text = mysqld::ReadFileFrom(log, 0, 8 << 20);
  constexpr std::string_view kBefore = "GTID of the last change '";
  size_t at = text.rfind(kBefore);
  std::string_view position;
  if (at != std::string::npos) {
    position = std::string_view(text).substr(at + kBefore.size());
    position = position.substr(0, position.find('\''));
  } else if (text.find("binlog position: filename") == std::string::npos) {
    return Fail(Code::kInternal, "mariabackup did not tell the position of its backup");
  }
  Result<gtid::Set> set = gtid::Set::Parse(gtid::Flavor::kMariadb, position);
  if (!set) return Fail(set.error().Context("mariabackup's position"));
  return set->ToEncoded();
}

}  // namespace

io::Task<Result<std::string>> StreamMariabackup(io::Loop& loop, mysqld::Instance& instance,
                                                io::ByteSink& sink, io::Gate& gate,
                                                Deadline deadline) {
  const mysqld::InstanceOptions& server = instance.options();
  io::ProcessOptions command;
  command.argv = {"mariabackup",
                  "--defaults-file=" + server.config.layout.my_cnf(),
                  "--backup",
                  "--stream=mbstream",
                  "--socket=" + server.config.SocketPath(),
                  "--user=" + server.users.dba.name,
                  "--target-dir=" + server.config.layout.tmp() + "/mariabackup"};
  if (!server.users.dba.password.empty()) command.env["MYSQL_PWD"] = server.users.dba.password;
  command.user = server.user;
  command.directory = server.config.layout.dir;
  command.output_file = server.config.layout.tmp() + "/mariabackup.log";
  std::string log = command.output_file;
  Status streamed = co_await StreamProgram(loop, std::move(command), sink, gate, deadline);
  if (!streamed) co_return Fail(streamed.error());
  co_return PositionInLog(log);
}

io::Task<Status> StreamFiles(io::Loop& loop, std::string directory, std::vector<std::string> names,
                             std::string user, std::string log, io::ByteSink& sink, io::Gate& gate,
                             Deadline deadline) {
  io::ProcessOptions command;
  command.argv = {"tar", "--create", "--sparse", "--file=-", "--directory=" + directory};
  for (std::string& name : names) command.argv.push_back(std::move(name));
  command.user = std::move(user);
  command.output_file = std::move(log);
  Status streamed = co_await StreamProgram(loop, std::move(command), sink, gate, deadline);
  co_return streamed;
}

Result<std::unique_ptr<Unpacker>> Unpacker::Open(io::Loop& loop, Packing packing,
                                                 std::string target, std::string user) {
  std::unique_ptr<Unpacker> unpacker(new Unpacker());
  unpacker->log_ = target + ".log";
  unlink(unpacker->log_.c_str());
  ASSIGN_OR_RETURN(auto ends, io::MakeSocketPair());
  unpacker->input_ = std::make_unique<io::Socket>(loop, ends.first);
  io::ProcessOptions command;
  if (packing == Packing::kMbstream) {
    command.argv = {"mbstream", "-x", "-C", target};
  } else {
    command.argv = {"tar", "--extract", "--file=-", "--directory=" + target};
  }
  unpacker->name_ = command.argv[0];
  command.user = std::move(user);
  command.output_file = unpacker->log_;
  command.stdin_fd = ends.second;
  command.new_session = false;
  Result<std::unique_ptr<io::Process>> process = io::Process::Start(loop, command);
  close(ends.second);
  if (!process) return Fail(process.error().Context("unpacking a backup"));
  unpacker->process_ = std::move(*process);
  return unpacker;
}

Unpacker::~Unpacker() {
  if (process_ != nullptr && process_->running()) {
    [[maybe_unused]] Status killed = process_->Signal(SIGKILL);
  }
}

Error Unpacker::Broken(std::string_view how) const {
  std::string words = LastLines(log_);
  bool full = words.find("No space") != words.npos || words.find("rrcode: 28") != words.npos;
  return Error(full ? Code::kResourceExhausted : Code::kDataLoss,
               fmt::format("{}: {}; {}", name_, how, words));
}

io::Task<Status> Unpacker::Write(std::string_view bytes, Deadline deadline) {
  Status written = co_await input_->WriteAll(bytes, deadline);
  if (!written) {
    // It is about to end: its words are complete then.
    Deadline soon = Deadline::In(5s);
    [[maybe_unused]] auto exit = co_await process_->WaitExit(soon);
    co_return Fail(Broken(written.error().message()));
  }
  bytes_ += bytes.size();
  co_return Status();
}

io::Task<Status> Unpacker::Finish(Deadline deadline) {
  input_.reset();
  std::optional<io::ExitStatus> exit = co_await process_->WaitExit(deadline);
  if (!exit) co_return Fail(Code::kDeadlineExceeded, "{} did not end in time", name_);
  if (exit->code != 0) co_return Fail(Broken("ended with " + exit->ToString()));
  co_return Status();
}

io::Task<Result<std::string>> PrepareMariabackup(std::string target, std::string user,
                                                 Deadline deadline) {
  io::ProcessOptions command;
  command.argv = {"mariabackup", "--prepare", kPrepareMemory, "--target-dir=" + target};
  command.user = std::move(user);
  command.new_session = false;
  Result<io::CommandResult> ran = co_await io::RunCommand(command, deadline);
  if (!ran) co_return Fail(ran.error().Context("preparing a backup"));
  if (ran->exit.code != 0) {
    std::string_view words = Trim(ran->output);
    words = words.substr(words.size() > 600 ? words.size() - 600 : 0);
    co_return Fail(Code::kDataLoss, "preparing a backup: mariabackup ended with {}: {}",
                   ran->exit.ToString(), ReplaceAll(std::string(words), "\n", "; "));
  }
  // "vt-bin.000003\t1234\t0-100-55", newer versions name the file otherwise.
  std::string text;
  for (const char* name : {"/mariadb_backup_binlog_info", "/xtrabackup_binlog_info"}) {
    if (text.empty()) text = mysqld::ReadFileFrom(target + name, 0, 1 << 20);
  }
  std::vector<std::string_view> words = Split(Trim(text), '\t');
  if (words.size() < 2)
    co_return Fail(Code::kDataLoss, "the backup in {} does not tell its position", target);
  std::string_view position = words.size() >= 3 ? words[2] : std::string_view();
  Result<gtid::Set> set = gtid::Set::Parse(gtid::Flavor::kMariadb, position);
  if (!set) co_return Fail(set.error().Context("the backup's position"));
  co_return set->ToEncoded();
}

}  // namespace paceline::backup
