// vtctld/method.h - what the .cc files of this room share: the shape of a method, aliases and
// records as messages, and waiting for many tablets at once. Internal.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "io/sync.h"
#include "io/task.h"
#include "io/together.h"
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

using io::Together;

}  // namespace paceline::vtctld
