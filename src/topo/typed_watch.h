// topo/typed_watch.h - watches that give records instead of bytes. They may miss versions between,
// never the last, and heal by themselves (topo/conn.h). Threads: the loop of the Server that opened
// them.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "record/record.h"
#include "topo/codec.h"
#include "topo/conn.h"

namespace paceline::topo {

// A record as it is stored: `raw` keeps what our struct does not hold, for rewriting.
template <class T>
struct Stored {
  T value;
  Version version;
  std::string raw;
};

// One record. The first Next tells the current value at once.
template <class T>
class TypedWatch {
 public:
  TypedWatch(WatchPtr watch, std::string name) : watch_(std::move(watch)), name_(std::move(name)) {}
  // Empty: the record is not there (now). Errors: those of Watch::Next, and kDataLoss, after which
  // Next may go on.
  io::Task<Result<std::optional<Stored<T>>>> Next(Deadline deadline) {
    Result<WatchEvent> event = co_await watch_->Next(deadline);
    if (!event) co_return Fail(event.error().Context(name_));
    if (event->kind != WatchEvent::Kind::kValue) co_return std::optional<Stored<T>>();
    Result<T> value = Decode<T>(event->file.data);
    if (!value) co_return Fail(value.error().Context(name_));
    std::optional<Stored<T>> stored;
    stored.emplace(Stored<T>{std::move(*value), event->file.version, std::move(event->file.data)});
    co_return stored;
  }
  void Close() { watch_->Close(); }

 private:
  WatchPtr watch_;
  std::string name_;
};
using ShardWatch = TypedWatch<record::Shard>;
using SrvVSchemaWatch = TypedWatch<record::SrvVSchema>;
using SrvKeyspaceWatch = TypedWatch<record::SrvKeyspace>;

struct TabletEvent {
  // True once: all tablets that were there at the start have been told. The other fields are empty
  // then.
  bool synced = false;
  record::TabletAlias alias;
  std::optional<Stored<record::Tablet>> tablet;  // empty: gone
};

// All tablets of a cell: the current ones, `synced`, then changes.
class TabletWatch {
 public:
  explicit TabletWatch(WatchPtr watch, std::string name);
  // Errors: as TypedWatch::Next.
  io::Task<Result<TabletEvent>> Next(Deadline deadline);
  void Close() { watch_->Close(); }

 private:
  WatchPtr watch_;
  std::string name_;
};

}  // namespace paceline::topo
