// backup/live.h - the data of a running server, taken while it serves: by MySQL's clone plugin and
// by mariabackup. Threads: the loop's thread.
#pragma once

#include <string>

#include "base/error.h"
#include "io/sink.h"
#include "io/task.h"
#include "mysqld/instance.h"

namespace paceline::backup {

// What a backup of a server's files carries, about: redo logs and temporary tables are left out.
// Blocks.
uint64_t DataBytes(const mysqld::Layout& layout);

struct CloneDonor {
  std::string host;
  uint16_t port = 0;
  std::string user, password;  // with BACKUP_ADMIN there
};

// CLONE INSTANCE of `donor` into `target`, which must not exist. Run by the server behind
// `recipient`, whose own data stay as they are. Errors: kUnavailable: the donor cannot be reached
// or went away; kFailedPrecondition: the two do not fit (version, no plugin, no privilege).
io::Task<Status> CloneRemote(mysqld::Admin& recipient, CloneDonor donor, std::string target,
                             Deadline deadline);
// CLONE LOCAL of the server itself.
io::Task<Status> CloneLocal(mysqld::Admin& server, std::string target, Deadline deadline);

// mariabackup --stream=mbstream of a running server into `sink`; a part of the stream may have been
// written when it fails. Returns the position that it holds, Vitess's encoding. Ends soon after
// `gate` closes. Errors: kNotFound without the program; kInternal with mariabackup's last words;
// those of `sink`.
io::Task<Result<std::string>> StreamMariabackup(io::Loop& loop, mysqld::Instance& instance,
                                                io::ByteSink& sink, io::Gate& gate,
                                                Deadline deadline);
// Folders and files of a directory, by tar, whose words go to the file `log`.
io::Task<Status> StreamFiles(io::Loop& loop, std::string directory, std::vector<std::string> names,
                             std::string user, std::string log, io::ByteSink& sink, io::Gate& gate,
                             Deadline deadline);

// The other end: what is written to it is unpacked into a folder.
enum class Packing : uint8_t { kMbstream, kTar };
class Unpacker final : public io::ByteSink {
 public:
  // `target` exists, is empty and belongs to `user`. Errors: kNotFound without the program.
  static Result<std::unique_ptr<Unpacker>> Open(io::Loop& loop, Packing packing, std::string target,
                                                std::string user);
  // Kills the program where Finish was not called.
  ~Unpacker() override;
  io::Task<Status> Write(std::string_view bytes, Deadline deadline) override;
  // No more comes; waits until all is on disk. Errors: kDataLoss with the program's words;
  // kResourceExhausted when the disk is full.
  io::Task<Status> Finish(Deadline deadline);
  uint64_t bytes() const { return bytes_; }

 private:
  Unpacker() = default;
  Error Broken(std::string_view how) const;
  std::unique_ptr<io::Process> process_;
  std::unique_ptr<io::Socket> input_;
  std::string name_, log_;
  uint64_t bytes_ = 0;
};

// Makes an unpacked backup startable, and gives its position in Vitess's encoding. Errors:
// kDataLoss with mariabackup's words: it was incomplete.
io::Task<Result<std::string>> PrepareMariabackup(std::string target, std::string user,
                                                 Deadline deadline);

}  // namespace paceline::backup
