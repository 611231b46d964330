// io/sink.h - where a long stream of bytes goes.
#pragma once

#include <string_view>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"

namespace paceline::io {

class ByteSink {
 public:
  virtual ~ByteSink() = default;
  // Takes all of `bytes`, waiting while the other end is slow. After an error nothing more comes.
  virtual Task<Status> Write(std::string_view bytes, Deadline deadline) = 0;
};

}  // namespace paceline::io
