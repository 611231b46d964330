#include "web/http.h"

#include <optional>

#include "base/strings.h"

namespace paceline::web {
namespace {

std::string_view Find(const std::vector<std::pair<std::string, std::string>>& pairs,
                      std::string_view name) {
  for (const auto& [key, value] : pairs) {
    if (key == name) return value;
  }
  return {};
}

// Without percent signs; empty when one is not followed by two hex digits.
std::optional<std::string> Decode(std::string_view text, bool plus_is_space) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      const std::optional<std::string> byte = HexDecode(text.substr(i + 1, 2));
      if (i + 2 >= text.size() || !byte || byte->size() != 1) return std::nullopt;
      out += *byte;
      i += 2;
    } else {
      out += text[i] == '+' && plus_is_space ? ' ' : text[i];
    }
  }
  return out;
}

bool HasControlByte(std::string_view text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return true;
  }
  return false;
}

Status ParsePath(std::string_view raw, std::string& path) {
  if (raw.empty() || raw[0] != '/') return Fail(Code::kInvalidArgument, "the path has no slash");
  // Parts are told apart before decoding, so that an encoded slash cannot make new ones.
  const std::vector<std::string_view> parts = Split(raw.substr(1), '/');
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::optional<std::string> part = Decode(parts[i], false);
    const bool last = i + 1 == parts.size();
    if (!part || (part->empty() && !last) || *part == "." || *part == ".." ||
        part->find_first_of("/\\") != std::string::npos || HasControlByte(*part)) {
      return Fail(Code::kInvalidArgument, "the path is malformed");
    }
    path += '/' + *part;
  }
  if (parts.empty()) path = "/";
  return {};
}

}  // namespace

std::string_view Request::Query(std::string_view name) const { return Find(query, name); }
std::string_view Request::Header(std::string_view name) const { return Find(headers, name); }

Response TextResponse(int status, std::string body) {
  Response response;
  response.status = status;
  response.body = std::move(body);
  return response;
}

Response HtmlResponse(std::string body) {
  Response response;
  response.content_type = "text/html; charset=utf-8";
  response.body = std::move(body);
  return response;
}

Response JsonResponse(std::string body) {
  Response response;
  response.content_type = "application/json; charset=utf-8";
  response.body = std::move(body);
  return response;
}

Response EventsResponse(std::shared_ptr<EventStream> events) {
  Response response;
  response.content_type = "text/event-stream";
  // A proxy that gathers answers would hold events back.
  response.headers.emplace_back("X-Accel-Buffering", "no");
  response.events = std::move(events);
  return response;
}

Response ErrorResponse(const Error& error) {
  int status = 500;
  switch (error.code()) {
    case Code::kInvalidArgument:
    case Code::kOutOfRange:
      status = 400;
      break;
    case Code::kUnauthenticated:
      status = 401;
      break;
    case Code::kPermissionDenied:
      status = 403;
      break;
    case Code::kNotFound:
      status = 404;
      break;
    case Code::kAlreadyExists:
    case Code::kAborted:
    case Code::kFailedPrecondition:
      status = 409;
      break;
    case Code::kResourceExhausted:
      status = 429;
      break;
    case Code::kUnimplemented:
      status = 501;
      break;
    case Code::kUnavailable:
      status = 503;
      break;
    case Code::kDeadlineExceeded:
      status = 504;
      break;
    default:
      break;
  }
  return TextResponse(status, error.ToString() + '\n');
}

Status ParseTarget(std::string_view target, Request& request) {
  target = target.substr(0, target.find('#'));
  const size_t mark = target.find('?');
  request.path.clear();
  request.query.clear();
  RETURN_IF_ERROR(ParsePath(target.substr(0, mark), request.path));
  if (mark == std::string_view::npos) return {};
  for (const std::string_view item : Split(target.substr(mark + 1), '&')) {
    if (item.empty()) continue;
    const size_t equals = item.find('=');
    std::optional<std::string> name = Decode(item.substr(0, equals), true);
    std::optional<std::string> value = Decode(
        equals == std::string_view::npos ? std::string_view() : item.substr(equals + 1), true);
    if (!name || !value) return Fail(Code::kInvalidArgument, "the query is malformed");
    request.query.emplace_back(std::move(*name), std::move(*value));
  }
  return {};
}

}  // namespace paceline::web
