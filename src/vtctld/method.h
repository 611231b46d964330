// vtctld/method.h - what the .cc files of this room share: the shape of a method, aliases and
// records as messages, and waiting for many tablets at once. Internal.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "io/sync.h"
#include "io/task.h"
#include "topo/codec.h"
#include "topo/typed_watch.h"
#include "vtctld/vtctld.h"

#define VTCTLD_METHOD(Name)                                                                 \
  io::Task<Status> Vtctld::Name([[maybe_unused]] const ::vtctldata::Name##Request& request, \
                                [[maybe_unused]] ::vtctldata::Name##Response& response,     \
                                [[maybe_unused]] Deadline deadline)

namespace paceline::vtctld {

// Records and messages share their stored encoding.
template <class Record, class Message>
void Fill(const Record& record, Message* out) {
  out->ParseFromString(topo::Encode(record));
}
template <class Record, class Message>
void Fill(const topo::Stored<Record>& stored, Message* out) {
  out->ParseFromString(stored.raw);
}
template <class Record, class Message>
Result<Record> ToRecord(const Message& message) {
  return topo::Decode<Record>(message.SerializeAsString());
}

template <class Alias>
record::TabletAlias ToRecord(const Alias& alias) {
  return {alias.cell(), alias.uid()};
}
template <class Alias>
void Fill(const record::TabletAlias& alias, Alias* out) {
  out->set_cell(alias.cell);
  out->set_uid(alias.uid);
}

template <class Strings>
std::vector<std::string> ToVector(const Strings& strings) {
  return {strings.begin(), strings.end()};
}

template <class Time>
Duration ToDuration(const Time& message) {
  return std::chrono::seconds(message.seconds()) + std::chrono::nanoseconds(message.nanos());
}

// Waits for tasks that run side by side. REQUIRES: Wait() is awaited before it goes.
class Together {
 public:
  ~Together() { CHECK(left_ == 0); }
  void Start(io::Task<void> task) {
    ++left_;
    io::Detach(Run(this, std::move(task)));
  }
  io::Task<void> Wait() {
    while (left_ > 0) {
      // The tasks end by their own deadlines.
      bool woken = co_await done_.Wait(Deadline::Never());
      (void)woken;
    }
  }

 private:
  static io::Task<void> Run(Together* join, io::Task<void> task) {
    co_await task;
    if (--join->left_ == 0) join->done_.Set();
  }
  size_t left_ = 0;
  io::Event done_;
};

}  // namespace paceline::vtctld
