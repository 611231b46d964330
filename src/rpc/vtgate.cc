#include "rpc/vtgate.h"

#include "rpc/method.h"
#include "vtgate.pb.h"

namespace paceline::rpc {
namespace {

#define VTGATE_PATH "/vtgateservice.Vitess/"

template <class Request, class Response>
using StreamFunction = io::Task<Status> (port::Vtgate::*)(
    const Request&, std::function<io::Task<Status>(const Response&)>, Deadline);

template <class Request, class Response>
MethodSpec StreamMethod(std::string path, port::Vtgate& vtgate,
                        StreamFunction<Request, Response> function) {
  port::Vtgate* gate = &vtgate;
  return StreamHandler<Request>(
      std::move(path), [gate, function](ServerCall& call, const Request& request) {
        ServerCall* to = &call;
        std::function<io::Task<Status>(const Response&)> send = [to](const Response& message) {
          return to->Send(message);
        };
        return (gate->*function)(request, std::move(send), call.deadline());
      });
}

}  // namespace

void AddVtgate(Server& server, io::Loop& loop, port::Vtgate& vtgate) {
#define PACELINE_METHOD(Method) \
  server.Add(loop, UnaryMethod(VTGATE_PATH #Method, vtgate, &port::Vtgate::Method));
  PACELINE_VTGATE_METHODS(PACELINE_METHOD)
#undef PACELINE_METHOD
#define PACELINE_METHOD(Method) \
  server.Add(loop, StreamMethod(VTGATE_PATH #Method, vtgate, &port::Vtgate::Method));
  PACELINE_VTGATE_STREAMS(PACELINE_METHOD)
#undef PACELINE_METHOD
}

}  // namespace paceline::rpc
