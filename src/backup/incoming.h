// backup/incoming.h - a data directory on its way in: it arrives beside the live one, takes its
// place in one exchange, and the old one is kept aside until it is not needed any more (I7).
//
//   Begin --> arriving --Complete--> ready --TakePlace--> placed --Finished--> nothing pending
//      ^          | Discard             (a crash from "ready" on is completed by the next agent)
//      +----------+
//
//   <dir>/seed/raw      files as a clone or a backup brings them, in one folder
//   <dir>/seed/new      the same, sorted as this server's my.cnf has them
//   <dir>/seed.ready    names the position; there from Complete to Finished
//   <dir>/aside         the old data
//
// Under another name than "seed" it only arrives, to be looked at.
//
// Threads: calls block on files; one at a time for a directory. All are safe to repeat.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/error.h"
#include "mysqld/config.h"

namespace paceline::backup {

class Incoming {
 public:
  // `owner`: mysqld's user.
  Incoming(mysqld::Layout layout, std::string owner, std::string name = "seed")
      : layout_(std::move(layout)), owner_(std::move(owner)), name_(std::move(name)) {}

  std::string folder() const { return layout_.dir + "/" + name_; }
  std::string raw() const { return folder() + "/raw"; }
  mysqld::Layout sorted() const { return {folder() + "/new"}; }

  // Removes what an earlier attempt left, and makes folder(). Errors: kFailedPrecondition while one
  // is ready; the disk's.
  Status Begin();
  Status Discard();
  // raw() as a server's own folders, data and innodb, becomes one folder.
  Status Flatten();
  // raw() becomes sorted(). Errors: kDataLoss: there is no data in it.
  Status Sort();
  // Sorts raw() and marks it ready, durably. `position`: Vitess's encoding; empty: the server knows
  // it itself.
  Status Complete(const std::string& position);
  // The position of a directory that is ready or placed; nothing when none is.
  std::optional<std::string> Pending() const;
  // Pending, and all of it has taken its place.
  bool Placed() const;
  // REQUIRES: mysqld is stopped; Pending(). Data, binary and relay logs go aside, the new data
  // takes their place. What is aside already stays: the older is the one that was complete.
  Status TakePlace();
  Status Finished();

  bool HasAside() const;
  // `keep_logs`: the old binary logs move to <dir>/errant, named by `stamp`.
  Status ForgetAside(bool keep_logs, const std::string& stamp);

  // Bytes on disk below `path`.
  static uint64_t BytesBelow(const std::string& path);

 private:
  std::string Marker() const { return folder() + ".ready"; }
  std::string Aside() const { return layout_.dir + "/aside"; }
  mysqld::Layout layout_;
  std::string owner_, name_;
};

}  // namespace paceline::backup
