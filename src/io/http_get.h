// io/http_get.h - one GET over plain HTTP, for asking other Paceline processes for their JSON. Not
// a client for the wide world: no redirects, no TLS, no chunks. Threads: the loop's.
#pragma once

#include <string>

#include "base/error.h"
#include "base/time.h"
#include "io/stream.h"
#include "io/task.h"

namespace paceline::io {

inline constexpr size_t kHttpAnswerBytesMax = 4u << 20;

// The body of a 200. Errors: kUnavailable naming the address and what came instead,
// kDeadlineExceeded, kResourceExhausted beyond kHttpAnswerBytesMax.
// `authorization`: the header's value; empty: none is sent.
Task<Result<std::string>> HttpGet(Address address, std::string target, Deadline deadline,
                                  std::string authorization = "");

}  // namespace paceline::io
