#include "rpc/backup_events.h"

namespace paceline::rpc {

void FillEvent(const std::string& text, logutil::Event* event) {
  int64_t now = SystemClock().WallNow().unix_ns;
  event->mutable_time()->set_seconds(now / 1'000'000'000);
  event->mutable_time()->set_nanoseconds(static_cast<int32_t>(now % 1'000'000'000));
  event->set_level(logutil::INFO);
  event->set_value(text);
}

}  // namespace paceline::rpc
