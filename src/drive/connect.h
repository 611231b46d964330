// drive/connect.h - how a coordinator reaches a tablet: handed in, so that this room needs no gRPC
// and tests need no sockets.
#pragma once

#include <functional>
#include <memory>

#include "port/tablet_manager.h"
#include "record/record.h"

namespace paceline::drive {

// Never null. Cheap and without I/O; the calls themselves say that a tablet cannot be reached.
using Connect = std::function<std::shared_ptr<port::TabletManager>(const record::Tablet&)>;

}  // namespace paceline::drive
