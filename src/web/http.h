// web/http.h - a request and its answer as plain values. Threads: values.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/guard.h"
#include "base/error.h"

namespace paceline::web {

class EventStream;

struct Request {
  std::string method;  // "GET", "POST"; HEAD comes as GET
  // Decoded and safe: begins with '/', has no empty, "." or ".." part, no backslash, no control
  // byte, and no slash that was written as %2F.
  std::string path;
  std::vector<std::pair<std::string, std::string>> query;    // decoded, in order
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;
  std::string peer;       // "127.0.0.1:40312"
  access::Caller caller;  // who asks, where the server has a Doorway

  // The first of that name; empty when there is none.
  std::string_view Query(std::string_view name) const;
  // `name` in lower case.
  std::string_view Header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
  // Beside the common ones (no-store, nosniff, a policy that allows no external request), or
  // instead of one of them. Those with line breaks are left out.
  std::vector<std::pair<std::string, std::string>> headers;
  bool audited = false;  // the handler tells the audit log itself, by the name of what was done
  // Set: the answer goes on with what is sent here (web/events.h), instead of a body.
  std::shared_ptr<EventStream> events;
};

Response TextResponse(int status, std::string body);
Response HtmlResponse(std::string body);
Response JsonResponse(std::string body);
Response EventsResponse(std::shared_ptr<EventStream> events);
// The status that fits the error's code, and its text.
Response ErrorResponse(const Error& error);

// Answers a request; the first call counts. Any thread, any time: after the deadline or the
// client's going it does nothing. Dropped without a call, the client gets a 500.
using Completion = std::function<void(Response)>;
using Handler = std::function<void(const Request&, Completion)>;

// Fills path and query from what stands in the request line. Errors: kInvalidArgument.
Status ParseTarget(std::string_view target, Request& request);

}  // namespace paceline::web
