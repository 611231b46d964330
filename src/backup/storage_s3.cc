#include "backup/storage_s3.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <functional>
#include <map>

#include "backup/bucket_storage.h"
#include "backup/http.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"

namespace paceline::backup {
namespace {

constexpr size_t kPartBytes = 8u << 20;   // of a multipart upload; at least 5 MB but for the last
constexpr size_t kRangeBytes = 4u << 20;  // of a read

using Query = std::map<std::string, std::string>;  // sorted, as the signature wants it

std::string Digest(std::string_view bytes) {
  unsigned char digest[32];
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest, &size, EVP_sha256(), nullptr);
  return std::string(reinterpret_cast<char*>(digest), size);
}
std::string Hmac(std::string_view key, std::string_view text) {
  unsigned char digest[32];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return std::string(reinterpret_cast<char*>(digest), size);
}

std::string QueryText(const Query& query) {
  std::string text;
  for (const auto& [name, value] : query)
    text += (text.empty() ? "" : "&") + EscapeUrl(name) + "=" + EscapeUrl(value);
  return text;
}

// The texts of an element, wherever it stands.
std::vector<std::string> Elements(std::string_view xml, std::string_view name) {
  std::vector<std::string> found;
  std::string open = fmt::format("<{}>", name), close = fmt::format("</{}>", name);
  for (size_t at = 0; (at = xml.find(open, at)) != xml.npos;) {
    at += open.size();
    size_t end = xml.find(close, at);
    if (end == xml.npos) break;
    std::string text(xml.substr(at, end - at));
    for (auto [from, to] :
         {std::pair("&quot;", "\""), {"&lt;", "<"}, {"&gt;", ">"}, {"&apos;", "'"}, {"&amp;", "&"}})
      text = ReplaceAll(text, from, to);
    found.push_back(std::move(text));
  }
  return found;
}

struct Address {
  std::string bucket, prefix, region = "us-east-1", scheme = "https", host;
  bool path_style = false;
};

Result<Address> ParseAddress(std::string_view text) {
  Address at;
  auto wrong = [&](std::string_view why) {
    return Fail(Code::kInvalidArgument, "backup storage \"{}\": {}", text, why);
  };
  if (!text.starts_with("s3://")) return wrong("it does not begin with s3://");
  std::string_view rest = text.substr(5), query;
  if (size_t mark = rest.find('?'); mark != rest.npos) {
    query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  size_t slash = rest.find('/');
  at.bucket = rest.substr(0, slash);
  if (slash != rest.npos) at.prefix = rest.substr(slash + 1);
  while (at.prefix.ends_with('/')) at.prefix.pop_back();
  if (at.bucket.empty()) return wrong("no bucket is named");
  for (std::string_view pair : Split(query, '&')) {
    if (pair.empty()) continue;
    size_t equals = pair.find('=');
    std::string_view name = pair.substr(0, equals),
                     value = equals == pair.npos ? "" : pair.substr(equals + 1);
    if (name == "region") {
      at.region = value;
    } else if (name == "path_style") {
      at.path_style = value == "true" || value == "1";
    } else if (name == "endpoint") {
      size_t mark = value.find("://");
      if (mark != value.npos) at.scheme = value.substr(0, mark);
      at.host = mark == value.npos ? value : value.substr(mark + 3);
      while (at.host.ends_with('/')) at.host.pop_back();
    } else {
      return wrong(fmt::format("\"{}\" is not known", name));
    }
  }
  if (at.host.empty()) at.host = fmt::format("s3.{}.amazonaws.com", at.region);
  return at;
}

class Bucket {
 public:
  Bucket(Address address, S3Credentials credentials)
      : at_(std::move(address)), credentials_(std::move(credentials)) {}
  std::string Describe() const { return fmt::format("s3 bucket {} at {}", at_.bucket, at_.host); }
  std::string Key(const std::string& path) const {
    return at_.prefix.empty() ? path : at_.prefix + "/" + path;
  }

  // Sends it again while that may help. Errors: as storage.h.
  Result<HttpResponse> Send(const char* method, const std::string& key, const Query& query,
                            std::string_view body, const std::string& range = "") const {
    Error last(Code::kInternal, "");
    for (int attempt = 0; attempt < kHttpAttempts; ++attempt) {
      if (attempt > 0) PauseBeforeRetry(attempt);
      Result<HttpResponse> response = SendOnce(method, key, query, body, range);
      if (response && response->status < 300) return response;
      last = response ? Refused(method, key, *response) : response.error();
      if (last.code() != Code::kUnavailable) break;
    }
    return Fail(last);
  }

 private:
  Error Refused(const char* method, const std::string& key, const HttpResponse& response) const {
    std::vector<std::string> codes = Elements(response.body, "Code");
    std::string why = codes.empty() ? fmt::format("HTTP {}", response.status) : codes[0];
    Code code = Code::kUnavailable;
    if (response.status == 404) code = Code::kNotFound;
    if (response.status == 403 || response.status == 401) code = Code::kPermissionDenied;
    if (why == "ExpiredToken" || why == "InvalidAccessKeyId" || why == "SignatureDoesNotMatch")
      code = Code::kUnauthenticated;
    if (response.status == 507 || why == "QuotaExceeded") code = Code::kResourceExhausted;
    if (response.status == 400 && code == Code::kUnavailable) code = Code::kInvalidArgument;
    if (why == "RequestTimeout") code = Code::kUnavailable;
    return Error(code, fmt::format("{} {} in {}: {}", method, key, Describe(), why));
  }

  Result<HttpResponse> SendOnce(const char* method, const std::string& key, const Query& query,
                                std::string_view body, const std::string& range) const {
    std::string host = at_.path_style ? at_.host : at_.bucket + "." + at_.host;
    std::string path =
        "/" + (at_.path_style ? EscapeUrl(at_.bucket) + (key.empty() ? "" : "/") : std::string()) +
        EscapeUrl(key, true);
    std::string query_text = QueryText(query);
    std::string url = fmt::format("{}://{}{}{}{}", at_.scheme, host, path,
                                  query_text.empty() ? "" : "?", query_text);
    time_t now = static_cast<time_t>(SystemClock().WallNow().unix_ns / 1'000'000'000);
    tm parts{};
    gmtime_r(&now, &parts);
    char stamp[32];
    strftime(stamp, sizeof stamp, "%Y%m%dT%H%M%SZ", &parts);
    std::string day(stamp, 8), hash = HexEncode(Digest(body));
    std::map<std::string, std::string> headers = {
        {"host", host}, {"x-amz-content-sha256", hash}, {"x-amz-date", stamp}};
    if (!credentials_.session_token.empty())
      headers["x-amz-security-token"] = credentials_.session_token;
    std::string canonical = fmt::format("{}\n{}\n{}\n", method, path, query_text), names;
    for (const auto& [name, value] : headers) {
      canonical += name + ":" + value + "\n";
      names += (names.empty() ? "" : ";") + name;
    }
    canonical += "\n" + names + "\n" + hash;
    std::string scope = fmt::format("{}/{}/s3/aws4_request", day, at_.region);
    std::string to_sign =
        fmt::format("AWS4-HMAC-SHA256\n{}\n{}\n{}", stamp, scope, HexEncode(Digest(canonical)));
    std::string sign_key = Hmac("AWS4" + credentials_.secret_key, day);
    for (std::string_view part :
         {std::string_view(at_.region), std::string_view("s3"), std::string_view("aws4_request")})
      sign_key = Hmac(sign_key, part);
    headers["Authorization"] =
        fmt::format("AWS4-HMAC-SHA256 Credential={}/{}, SignedHeaders={}, Signature={}",
                    credentials_.access_key, scope, names, HexEncode(Hmac(sign_key, to_sign)));
    if (!range.empty()) headers["Range"] = range;
    Result<HttpResponse> response = SendHttp({method, url, std::move(headers), body});
    if (!response) {
      return Fail(Code::kUnavailable, "{} {} in {}: {}", method, key, Describe(),
                  response.error().message());
    }
    return response;
  }

  Address at_;
  S3Credentials credentials_;
};

class S3Writer final : public ObjectWriter {
 public:
  S3Writer(std::shared_ptr<Bucket> bucket, std::string key)
      : bucket_(std::move(bucket)), key_(std::move(key)) {}
  ~S3Writer() override {
    if (upload_.empty()) return;
    Result<HttpResponse> aborted = bucket_->Send("DELETE", key_, {{"uploadId", upload_}}, "");
    if (!aborted) LOG_WARNING("{}", aborted.error().ToString());
  }
  Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::string_view now = bytes.substr(0, kPartBytes - part_.size());
      part_.append(now);
      bytes.remove_prefix(now.size());
      if (part_.size() == kPartBytes) RETURN_IF_ERROR(SendPart());
    }
    return {};
  }
  Status Commit() override {
    if (upload_.empty()) {
      ASSIGN_OR_RETURN(HttpResponse put, bucket_->Send("PUT", key_, {}, part_));
      return {};
    }
    if (!part_.empty()) RETURN_IF_ERROR(SendPart());
    std::string list = "<CompleteMultipartUpload>";
    for (size_t i = 0; i < etags_.size(); ++i)
      list +=
          fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag></Part>", i + 1, etags_[i]);
    list += "</CompleteMultipartUpload>";
    ASSIGN_OR_RETURN(HttpResponse done, bucket_->Send("POST", key_, {{"uploadId", upload_}}, list));
    // S3 may say 200 first and think otherwise afterwards.
    if (done.body.find("<Error>") != std::string::npos)
      return Fail(Code::kUnavailable, "completing {} in {} failed", key_, bucket_->Describe());
    upload_.clear();
    return {};
  }

 private:
  Status SendPart() {
    if (upload_.empty()) {
      ASSIGN_OR_RETURN(HttpResponse begun, bucket_->Send("POST", key_, {{"uploads", ""}}, ""));
      std::vector<std::string> ids = Elements(begun.body, "UploadId");
      if (ids.empty())
        return Fail(Code::kUnavailable, "{} does not begin an upload", bucket_->Describe());
      upload_ = ids[0];
    }
    Query query = {{"partNumber", std::to_string(etags_.size() + 1)}, {"uploadId", upload_}};
    ASSIGN_OR_RETURN(HttpResponse sent, bucket_->Send("PUT", key_, query, part_));
    etags_.push_back(sent.headers["etag"]);
    part_.clear();
    return {};
  }
  std::shared_ptr<Bucket> bucket_;
  std::string key_, upload_, part_;
  std::vector<std::string> etags_;
};

class S3Reader final : public ObjectReader {
 public:
  S3Reader(std::shared_ptr<Bucket> bucket, std::string key)
      : bucket_(std::move(bucket)), key_(std::move(key)) {}
  Result<size_t> Read(char* buffer, size_t size) override {
    if (used_ == part_.size()) {
      RETURN_IF_ERROR(Fetch());
      if (part_.empty()) return size_t{0};
    }
    size_t now = std::min(size, part_.size() - used_);
    memcpy(buffer, part_.data() + used_, now);
    used_ += now;
    return now;
  }
  Status Fetch() {
    part_.clear();
    used_ = 0;
    if (ended_) return {};
    std::string range = fmt::format("bytes={}-{}", offset_, offset_ + kRangeBytes - 1);
    Result<HttpResponse> got = bucket_->Send("GET", key_, {}, "", range);
    if (!got && got.error().message().ends_with("InvalidRange")) {
      ended_ = true;  // behind its end, or an empty object
      return {};
    }
    if (!got) return Fail(got.error());
    part_ = std::move(got->body);
    offset_ += part_.size();
    ended_ = part_.size() < kRangeBytes;
    return {};
  }

 private:
  std::shared_ptr<Bucket> bucket_;
  std::string key_, part_;
  size_t used_ = 0;
  uint64_t offset_ = 0;
  bool ended_ = false;
};

class S3Storage final : public BucketStorage {
 public:
  explicit S3Storage(std::shared_ptr<Bucket> bucket) : bucket_(std::move(bucket)) {}
  std::string Describe() const override { return bucket_->Describe(); }

 private:
  std::string Key(const std::string& path) const override { return bucket_->Key(path); }
  std::unique_ptr<ObjectWriter> Writer(const std::string& key) override {
    return std::make_unique<S3Writer>(bucket_, key);
  }
  Result<std::unique_ptr<ObjectReader>> Reader(const std::string& key) override {
    auto reader = std::make_unique<S3Reader>(bucket_, key);
    RETURN_IF_ERROR(reader->Fetch());  // so that one that is missing is told here
    return reader;
  }
  Status Remove(const std::string& key) override {
    ASSIGN_OR_RETURN(HttpResponse removed, bucket_->Send("DELETE", key, {}, ""));
    return {};
  }
  Status Walk(const std::string& prefix, bool one_level,
              const std::function<void(const std::string&)>& each) override {
    std::string next;
    do {
      Query query = {{"list-type", "2"}, {"prefix", prefix}};
      if (one_level) query["delimiter"] = "/";
      if (!next.empty()) query["continuation-token"] = next;
      ASSIGN_OR_RETURN(HttpResponse page, bucket_->Send("GET", "", query, ""));
      for (const std::string& key : Elements(page.body, "Key")) each(key);
      for (const std::string& common : Elements(page.body, "CommonPrefixes"))
        for (const std::string& key : Elements(common, "Prefix")) each(key);
      std::vector<std::string> more = Elements(page.body, "NextContinuationToken");
      next = more.empty() ? "" : more[0];
    } while (!next.empty());
    return {};
  }
  std::shared_ptr<Bucket> bucket_;
};

S3Credentials& ProcessCredentials() {
  static S3Credentials credentials;
  return credentials;
}

}  // namespace

void SetS3Credentials(S3Credentials credentials) { ProcessCredentials() = std::move(credentials); }

Result<std::unique_ptr<Storage>> OpenS3Storage(const std::string& address) {
  ASSIGN_OR_RETURN(Address at, ParseAddress(address));
  const S3Credentials& credentials = ProcessCredentials();
  if (credentials.access_key.empty() || credentials.secret_key.empty()) {
    return Fail(Code::kUnauthenticated,
                "s3 bucket {}: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set", at.bucket);
  }
  return std::make_unique<S3Storage>(std::make_shared<Bucket>(std::move(at), credentials));
}

}  // namespace paceline::backup
