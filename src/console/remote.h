// console/remote.h - what other processes tell by their own web ports. Threads: one loop.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/time.h"
#include "io/stream.h"
#include "io/task.h"

namespace paceline::console {

// For each address an object: "address", and each path's JSON under its last part without
// extension ("problems" for "/api/problems"); "error" where it does not answer. A path that the
// process does not know is left out. A name that stands for several is asked at each; all at once.
// `authorization` is that of the person who asks.
io::Task<nlohmann::json> AskAll(std::vector<io::Address> named, std::vector<std::string> paths,
                                std::string authorization, Deadline deadline);

}  // namespace paceline::console
