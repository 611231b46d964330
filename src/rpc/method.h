// rpc/method.h - a member function of a port as a MethodSpec. Only for adapters, which see the
// messages' definitions.
#pragma once

#include <string>

#include "rpc/server.h"

namespace paceline::rpc {

template <class Port, class Request, class Response>
MethodSpec UnaryMethod(std::string path, Port& port,
                       io::Task<Status> (Port::*function)(const Request&, Response&, Deadline)) {
  MethodSpec spec;
  spec.path = std::move(path);
  spec.request = &Request::default_instance();
  spec.response = &Response::default_instance();
  // Not a coroutine: it only starts the port's.
  spec.unary = [&port, function](ServerCall& call, const MessageLite& request,
                                 MessageLite& response) {
    return (port.*function)(static_cast<const Request&>(request), static_cast<Response&>(response),
                            call.deadline());
  };
  return spec;
}

// For adapters that do more than pass on: `handler` is a function object that returns the task of a
// coroutine function.
template <class Request, class Response>
MethodSpec UnaryHandler(
    std::string path,
    std::function<io::Task<Status>(ServerCall&, const Request&, Response&)> handler) {
  MethodSpec spec;
  spec.path = std::move(path);
  spec.request = &Request::default_instance();
  spec.response = &Response::default_instance();
  spec.unary = [handler = std::move(handler)](ServerCall& call, const MessageLite& request,
                                              MessageLite& response) {
    return handler(call, static_cast<const Request&>(request), static_cast<Response&>(response));
  };
  return spec;
}

template <class Request>
MethodSpec StreamHandler(std::string path,
                         std::function<io::Task<Status>(ServerCall&, const Request&)> handler) {
  MethodSpec spec;
  spec.path = std::move(path);
  spec.request = &Request::default_instance();
  spec.stream = [handler = std::move(handler)](ServerCall& call, const MessageLite& request) {
    return handler(call, static_cast<const Request&>(request));
  };
  return spec;
}

}  // namespace paceline::rpc
