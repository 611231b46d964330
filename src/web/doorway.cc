#include "web/doorway.h"

#include "base/strings.h"

namespace paceline::web {
namespace {

// "localhost:8080" -> "localhost"
std::string_view HostOf(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

bool IsLocalName(std::string_view host) {
  return host.empty() || host == "localhost" || host == "[::1]" ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

access::Request Describe(const Doorway& doorway, const Request& request) {
  access::Request asked;
  asked.action = request.method + " " + request.path;
  asked.needs = doorway.needs(request);
  asked.peer = request.peer;
  asked.authorization = request.Header("authorization");
  return asked;
}

}  // namespace

access::Role RoleOfPage(const Request& request) {
  for (std::string_view open : {"/healthz", "/readyz", "/metrics", "/debug/health", "/version"}) {
    if (request.path == open) return access::Role::kNone;
  }
  // The console's plans change nothing; what they are for is asked of the guard when it is done.
  if (request.path == "/api/plan") return access::Role::kViewer;
  // vtorc's switches act when they are got, as Vitess's do.
  const bool acts = request.method != "GET" || request.path.ends_with("-global-recoveries");
  return acts ? access::Role::kOperator : access::Role::kViewer;
}

bool IsCrossSite(const Request& request) {
  const std::string_view site = request.Header("sec-fetch-site");
  if (!site.empty()) return site != "same-origin" && site != "none";
  std::string_view origin = request.Header("origin");
  if (origin.empty()) return false;  // no browser
  const size_t scheme = origin.find("://");
  if (scheme == std::string_view::npos) return true;  // "null"
  origin.remove_prefix(scheme + 3);
  // A proxy in front tells by which name it was asked.
  return origin != request.Header("host") && origin != request.Header("x-forwarded-host");
}

std::optional<Response> Doorway::Refuse(Request& request) const {
  const access::Request asked = Describe(*this, request);
  if (asked.needs == access::Role::kNone) return std::nullopt;
  const bool acts = asked.needs > access::Role::kViewer || request.method != "GET";
  if (acts && IsCrossSite(request)) {
    guard->Refused(asked, "cross-site", "sent by a page of another site");
    return TextResponse(403, "actions are not taken from other sites' pages\n");
  }
  Result<access::Caller> caller = guard->Admit(asked);
  if (caller && caller->how == "loopback" && !IsLocalName(HostOf(request.Header("host")))) {
    guard->Refused(asked, "cross-site", "asked for by a name that is not this machine's own");
    return TextResponse(403, "ask for localhost: without credentials other names are refused\n");
  }
  if (caller) {
    request.caller = *caller;
    return std::nullopt;
  }
  if (caller.error().code() == Code::kUnauthenticated && guard->asks()) {
    Response refusal = TextResponse(401, caller.error().ToString() + "\n");
    refusal.headers.emplace_back("WWW-Authenticate", "Basic realm=\"paceline\", charset=\"UTF-8\"");
    return refusal;
  }
  return TextResponse(403, caller.error().ToString() + "\n");
}

void Doorway::Done(const Request& request, const Response& response) const {
  const access::Request asked = Describe(*this, request);
  if (asked.needs <= access::Role::kViewer || response.audited) return;
  Status result;
  if (response.status >= 400) result = Fail(Code::kUnknown, "HTTP status {}", response.status);
  guard->Done(asked, request.caller, result);
}

}  // namespace paceline::web
