// backup/http.h - one HTTP request by libcurl, for the storages that speak it. Blocks. Any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"

namespace paceline::backup {

struct HttpRequest {
  const char* method = "GET";
  std::string url;
  std::map<std::string, std::string> headers;
  std::string_view body;
  std::string ca_file;  // who may have signed the server's certificate; empty: as the system says
};
struct HttpResponse {
  long status = 0;
  std::string body;
  std::map<std::string, std::string> headers;  // names in lower case
};

// Sends it once, and follows no redirect. Gives up on a connection that does not come within 10 s,
// and on one that is silent for 30 s. Errors: kUnavailable with the reason, when there is no
// answer.
Result<HttpResponse> SendHttp(const HttpRequest& request);

// Percent-encoding of all but unreserved characters.
std::string EscapeUrl(std::string_view text, bool keep_slash = false);

// Sleeps before attempt `attempt` of the same request, from 1 on. For blocking threads.
void PauseBeforeRetry(int attempt);
inline constexpr int kHttpAttempts = 5;

}  // namespace paceline::backup
