// port/vtgate.h - the service vtgateservice.Vitess as an interface; messages are the contract's
// ("vtgate.pb.h"). Threads: vtgate's loop.
#pragma once

#include <functional>

#include "base/error.h"
#include "base/time.h"
#include "io/task.h"

#define PACELINE_VTGATE_METHODS(X) \
  X(Execute) X(ExecuteBatch) X(ExecuteMulti) X(Prepare) X(CloseSession)
#define PACELINE_VTGATE_STREAMS(X) X(StreamExecute) X(StreamExecuteMulti)

#define PACELINE_DECLARE(Method) \
  class Method##Request;         \
  class Method##Response;
namespace vtgate {
PACELINE_VTGATE_METHODS(PACELINE_DECLARE)
PACELINE_VTGATE_STREAMS(PACELINE_DECLARE)
}  // namespace vtgate
#undef PACELINE_DECLARE

namespace paceline::port {

class Vtgate {
 public:
  virtual ~Vtgate() = default;
  // As in Vitess, a failed statement is told in the response's `error` with the session beside it;
  // the call itself fails only when the request cannot be understood.
#define PACELINE_METHOD(Method)                                             \
  virtual io::Task<Status> Method(const ::vtgate::Method##Request& request, \
                                  ::vtgate::Method##Response& response, Deadline deadline) = 0;
  PACELINE_VTGATE_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
  // `send` gives one message to the client and waits while it is slow.
#define PACELINE_METHOD(Method)                                                \
  virtual io::Task<Status> Method(                                             \
      const ::vtgate::Method##Request& request,                                \
      std::function<io::Task<Status>(const ::vtgate::Method##Response&)> send, \
      Deadline deadline) = 0;
  PACELINE_VTGATE_STREAMS(PACELINE_METHOD)
#undef PACELINE_METHOD
};

}  // namespace paceline::port
