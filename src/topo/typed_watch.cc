#include "topo/typed_watch.h"

#include <string_view>

namespace paceline::topo {
namespace {

// "tablets/<alias>/Tablet"; empty for other files.
std::optional<record::TabletAlias> AliasOfPath(std::string_view path) {
  constexpr std::string_view kStart = "tablets/", kEnd = "/Tablet";
  if (path.size() <= kStart.size() + kEnd.size() || !path.starts_with(kStart) ||
      !path.ends_with(kEnd)) {
    return std::nullopt;
  }
  path.remove_prefix(kStart.size());
  path.remove_suffix(kEnd.size());
  Result<record::TabletAlias> alias = record::ParseTabletAlias(path);
  if (!alias) return std::nullopt;
  return *alias;
}

}  // namespace

TabletWatch::TabletWatch(WatchPtr watch, std::string name)
    : watch_(std::move(watch)), name_(std::move(name)) {}

io::Task<Result<TabletEvent>> TabletWatch::Next(Deadline deadline) {
  for (;;) {
    Result<WatchEvent> event = co_await watch_->Next(deadline);
    if (!event) co_return Fail(event.error().Context(name_));
    TabletEvent told;
    if (event->kind == WatchEvent::Kind::kSynced) {
      told.synced = true;
      co_return told;
    }
    std::optional<record::TabletAlias> alias = AliasOfPath(event->file.path);
    if (!alias) continue;
    told.alias = *alias;
    if (event->kind == WatchEvent::Kind::kValue) {
      Result<record::Tablet> tablet = Decode<record::Tablet>(event->file.data);
      if (!tablet) co_return Fail(tablet.error().Context(event->file.path));
      told.tablet.emplace(Stored<record::Tablet>{std::move(*tablet), event->file.version,
                                                 std::move(event->file.data)});
    }
    co_return told;
  }
}

}  // namespace paceline::topo
