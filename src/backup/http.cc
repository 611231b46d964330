#include "backup/http.h"

#include <curl/curl.h>
#include <poll.h>
#include <string.h>

#include <memory>
#include <mutex>

#include "base/strings.h"

namespace paceline::backup {
namespace {

constexpr long kConnectSeconds = 10, kStallSeconds = 30;

size_t TakeBody(char* bytes, size_t size, size_t count, void* to) {
  static_cast<std::string*>(to)->append(bytes, size * count);
  return size * count;
}
size_t TakeHeader(char* bytes, size_t size, size_t count, void* to) {
  std::string_view line(bytes, size * count);
  size_t colon = line.find(':');
  if (colon != line.npos) {
    auto& headers = *static_cast<std::map<std::string, std::string>*>(to);
    headers[Lower(line.substr(0, colon))] = std::string(Trim(line.substr(colon + 1)));
  }
  return size * count;
}

}  // namespace

Result<HttpResponse> SendHttp(const HttpRequest& request) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  // Kept by the thread: its connections serve the next request.
  thread_local std::unique_ptr<CURL, decltype(&curl_easy_cleanup)> curl(curl_easy_init(),
                                                                        curl_easy_cleanup);
  curl_easy_reset(curl.get());
  curl_slist* list = nullptr;
  for (const auto& [name, value] : request.headers)
    list = curl_slist_append(list, (name + ": " + value).c_str());
  // Nothing of curl's own that would not be signed or that waits for a word.
  list = curl_slist_append(list, "Expect:");
  if (!request.headers.contains("Content-Type")) list = curl_slist_append(list, "Content-Type:");
  std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)> owned(list, curl_slist_free_all);
  HttpResponse response;
  char why[CURL_ERROR_SIZE] = "";
  auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_HTTPHEADER, list);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_CONNECTTIMEOUT, kConnectSeconds);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, kStallSeconds);
  set(CURLOPT_ERRORBUFFER, why);
  set(CURLOPT_WRITEFUNCTION, &TakeBody);
  set(CURLOPT_WRITEDATA, &response.body);
  set(CURLOPT_HEADERFUNCTION, &TakeHeader);
  set(CURLOPT_HEADERDATA, &response.headers);
  set(CURLOPT_CUSTOMREQUEST, request.method);
  if (!request.body.empty() || strcmp(request.method, "GET") != 0) {
    set(CURLOPT_POSTFIELDS, request.body.empty() ? "" : request.body.data());
    set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
  }
  if (!request.ca_file.empty()) set(CURLOPT_CAINFO, request.ca_file.c_str());
  CURLcode code = curl_easy_perform(curl.get());
  if (code != CURLE_OK)
    return Fail(Code::kUnavailable, "{}", why[0] != '\0' ? why : curl_easy_strerror(code));
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &response.status);
  return response;
}

std::string EscapeUrl(std::string_view text, bool keep_slash) {
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '_' || c == '.' || c == '~' || (keep_slash && c == '/');
    plain ? out += c : out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

void PauseBeforeRetry(int attempt) { poll(nullptr, 0, 100 << attempt); }

}  // namespace paceline::backup
