// io/resolve.h - all that a name stands for. Threads: the loop's; the name is looked up on another.
#pragma once

#include <vector>

#include "base/error.h"
#include "io/stream.h"
#include "io/task.h"

namespace paceline::io {

// Each address behind the host's name, as numbers, without doubles: of a service that has several
// processes, say. Errors: kUnavailable naming the host.
Task<Result<std::vector<Address>>> AddressesOf(Address named);

}  // namespace paceline::io
