#include "backup/storage_gcs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <string.h>

#include <algorithm>
#include <functional>
#include <mutex>
#include <nlohmann/json.hpp>

#include "backup/bucket_storage.h"
#include "backup/http.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/strings.h"
#include "base/time.h"
#include "mysqld/folder.h"

namespace paceline::backup {
namespace {

// Of a resumable upload; all but the last must be multiples of 256 kB.
constexpr size_t kChunkBytes = 8u << 20;
constexpr size_t kRangeBytes = 4u << 20;  // of a read
constexpr int64_t kTokenSparesSeconds = 60;
constexpr const char* kScope = "https://www.googleapis.com/auth/devstorage.read_write";

std::string Base64Url(std::string_view bytes) {
  std::string out = Base64Encode(bytes);
  while (out.ends_with('=')) out.pop_back();
  std::ranges::replace(out, '+', '-');
  std::ranges::replace(out, '/', '_');
  return out;
}

// RS256.
Result<std::string> Sign(const std::string& pem, std::string_view text) {
  std::unique_ptr<BIO, decltype(&BIO_free)> bio(
      BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (key == nullptr) return Fail(Code::kUnauthenticated, "its private_key cannot be read");
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
  const auto* in = reinterpret_cast<const unsigned char*>(text.data());
  size_t size = 0;
  bool good = EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
              EVP_DigestSign(context.get(), nullptr, &size, in, text.size()) == 1;
  std::string signature(size, '\0');
  good = good && EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                                &size, in, text.size()) == 1;
  if (!good) return Fail(Code::kInternal, "signing with its private_key failed");
  signature.resize(size);
  return signature;
}

int64_t NowSeconds() { return SystemClock().WallNow().unix_ns / 1'000'000'000; }

struct ServiceAccount {
  std::string email, key, token_url;
};
Result<ServiceAccount> ReadServiceAccount(const std::string& file) {
  std::string text = mysqld::ReadFileFrom(file, 0, 64 << 10);
  nlohmann::json json = nlohmann::json::parse(text, nullptr, false);
  auto field = [&](const char* name) -> std::string {
    bool there = json.is_object() && json.contains(name) && json[name].is_string();
    return there ? json[name].get<std::string>() : "";
  };
  ServiceAccount account{field("client_email"), field("private_key"), field("token_uri")};
  if (account.token_url.empty()) account.token_url = "https://oauth2.googleapis.com/token";
  if (account.email.empty() || account.key.empty()) {
    return Fail(Code::kUnauthenticated,
                "{} (GOOGLE_APPLICATION_CREDENTIALS) is no key of a service account: client_email "
                "or private_key is missing",
                file);
  }
  return account;
}

// The bearer token of requests, kept until it is about to end. Any thread.
class Tokens {
 public:
  explicit Tokens(GcsAccess access) : access_(std::move(access)) {}
  // Empty: none is needed. `refused`: the one that the server did not take.
  Result<std::string> Get(const std::string& refused) {
    if (!access_.emulator_host.empty()) return std::string();
    std::lock_guard lock(mutex_);
    bool good = !token_.empty() && token_ != refused && NowSeconds() < ends_;
    if (!good) RETURN_IF_ERROR(Fetch());
    return token_;
  }

 private:
  Status Fetch() {
    std::string body;
    HttpRequest request;
    if (access_.credentials_file.empty()) {
      request.url = fmt::format(
          "http://{}/computeMetadata/v1/instance/service-accounts/default/token?scopes={}",
          access_.metadata_host, EscapeUrl(kScope));
      request.headers["Metadata-Flavor"] = "Google";
    } else {
      ASSIGN_OR_RETURN(ServiceAccount account, ReadServiceAccount(access_.credentials_file));
      int64_t now = NowSeconds();
      nlohmann::json claims = {{"iss", account.email},
                               {"scope", kScope},
                               {"aud", account.token_url},
                               {"iat", now},
                               {"exp", now + 3600}};
      std::string to_sign =
          Base64Url(R"({"alg":"RS256","typ":"JWT"})") + "." + Base64Url(claims.dump());
      Result<std::string> signature = Sign(account.key, to_sign);
      if (!signature) return Fail(signature.error().Context(access_.credentials_file));
      body = "grant_type=" + EscapeUrl("urn:ietf:params:oauth:grant-type:jwt-bearer") +
             "&assertion=" + to_sign + "." + Base64Url(*signature);
      request.method = "POST";
      request.url = account.token_url;
      request.headers["Content-Type"] = "application/x-www-form-urlencoded";
      request.body = body;
    }
    Result<HttpResponse> response = SendHttp(request);
    if (!response) {
      return Fail(Code::kUnavailable, "fetching a token from {}: {}", request.url,
                  response.error().message());
    }
    nlohmann::json json = nlohmann::json::parse(response->body, nullptr, false);
    bool got = response->status == 200 && json.is_object() && json.contains("access_token") &&
               json["access_token"].is_string();
    if (!got) {
      Code code = response->status >= 500 ? Code::kUnavailable : Code::kUnauthenticated;
      return Fail(code, "fetching a token from {}: HTTP {}: {}", request.url, response->status,
                  response->body.substr(0, 200));
    }
    token_ = json["access_token"];
    bool told = json.contains("expires_in") && json["expires_in"].is_number_integer();
    int64_t lasts = told ? json["expires_in"].get<int64_t>() : 300;
    ends_ = NowSeconds() + std::max(lasts - kTokenSparesSeconds, lasts / 2);
    return {};
  }
  GcsAccess access_;
  std::mutex mutex_;
  std::string token_;
  int64_t ends_ = 0;
};

struct Address {
  std::string bucket, prefix, endpoint = "https://storage.googleapis.com";
};

Result<Address> ParseAddress(std::string_view text) {
  Address at;
  auto wrong = [&](std::string_view why) {
    return Fail(Code::kInvalidArgument, "backup storage \"{}\": {}", text, why);
  };
  if (!text.starts_with("gs://")) return wrong("it does not begin with gs://");
  std::string_view rest = text.substr(5);
  if (size_t mark = rest.find('?'); mark != rest.npos) {
    std::string_view query = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
    if (!query.starts_with("endpoint=")) return wrong(fmt::format("\"{}\" is not known", query));
    at.endpoint = query.substr(9);
    while (at.endpoint.ends_with('/')) at.endpoint.pop_back();
  }
  size_t slash = rest.find('/');
  at.bucket = rest.substr(0, slash);
  if (slash != rest.npos) at.prefix = rest.substr(slash + 1);
  while (at.prefix.ends_with('/')) at.prefix.pop_back();
  if (at.bucket.empty()) return wrong("no bucket is named");
  return at;
}

class Bucket {
 public:
  Bucket(Address address, GcsAccess access) : at_(std::move(address)), tokens_(std::move(access)) {}
  std::string Describe() const {
    return fmt::format("gcs bucket {} at {}", at_.bucket, at_.endpoint);
  }
  std::string Key(const std::string& path) const {
    return at_.prefix.empty() ? path : at_.prefix + "/" + path;
  }
  std::string ObjectsUrl() const {
    return fmt::format("{}/storage/v1/b/{}/o", at_.endpoint, EscapeUrl(at_.bucket));
  }
  std::string ObjectUrl(const std::string& key) const {
    return ObjectsUrl() + "/" + EscapeUrl(key);
  }
  std::string UploadUrl(const char* type, const std::string& key) const {
    return fmt::format("{}/upload/storage/v1/b/{}/o?uploadType={}&name={}", at_.endpoint,
                       EscapeUrl(at_.bucket), type, EscapeUrl(key));
  }

  // Sends it again while that may help. 308 is an answer too: an upload that goes on. Errors: as
  // storage.h.
  Result<HttpResponse> Send(HttpRequest request, const std::string& key) {
    Error last(Code::kInternal, "");
    std::string refused;
    for (int attempt = 0; attempt < kHttpAttempts; ++attempt) {
      if (attempt > 0) PauseBeforeRetry(attempt);
      Result<std::string> token = tokens_.Get(refused);
      if (!token && token.error().code() != Code::kUnavailable)
        return Fail(token.error().Context(Describe()));
      if (!token) {
        last = token.error().Context(Describe());
        continue;
      }
      if (!token->empty()) request.headers["Authorization"] = "Bearer " + *token;
      Result<HttpResponse> response = SendHttp(request);
      if (response && (response->status < 300 || response->status == 308)) return response;
      last = response
                 ? Refused(request.method, key, *response)
                 : Error(Code::kUnavailable, fmt::format("{} {} in {}: {}", request.method, key,
                                                         Describe(), response.error().message()));
      bool new_token = response && response->status == 401 && refused.empty() && !token->empty();
      if (new_token) refused = *token;
      if (last.code() != Code::kUnavailable && !new_token) break;
    }
    return Fail(last);
  }

 private:
  Error Refused(const char* method, const std::string& key, const HttpResponse& response) const {
    std::string why = fmt::format("HTTP {}", response.status);
    nlohmann::json json = nlohmann::json::parse(response.body, nullptr, false);
    if (json.is_object() && json.contains("error") && json["error"].is_object() &&
        json["error"].contains("message") && json["error"]["message"].is_string())
      why += ": " + json["error"]["message"].get<std::string>();
    Code code = Code::kUnavailable;
    if (response.status == 404) code = Code::kNotFound;
    if (response.status == 403) code = Code::kPermissionDenied;
    if (response.status == 401) code = Code::kUnauthenticated;
    if (response.status == 400 || response.status == 412) code = Code::kInvalidArgument;
    if (response.status == 507) code = Code::kResourceExhausted;
    return Error(code, fmt::format("{} {} in {}: {}", method, key, Describe(), why));
  }
  Address at_;
  Tokens tokens_;
};

class GcsWriter final : public ObjectWriter {
 public:
  GcsWriter(std::shared_ptr<Bucket> bucket, std::string key)
      : bucket_(std::move(bucket)), key_(std::move(key)) {}
  ~GcsWriter() override {
    if (session_.empty()) return;
    HttpRequest cancel{"DELETE", session_, {{"Content-Length", "0"}}, ""};
    Result<HttpResponse> canceled = SendHttp(cancel);  // answers 499 by design
    if (!canceled) LOG_WARNING("{}", canceled.error().ToString());
  }
  Status Append(std::string_view bytes) override {
    while (!bytes.empty()) {
      std::string_view now = bytes.substr(0, kChunkBytes - chunk_.size());
      chunk_.append(now);
      bytes.remove_prefix(now.size());
      // A full chunk waits until it is known that it is not the last.
      if (chunk_.size() == kChunkBytes && !bytes.empty()) RETURN_IF_ERROR(SendChunk(false));
    }
    return {};
  }
  Status Commit() override {
    // A body without a byte is no upload to every server: that is said by a range.
    if (!session_.empty() || chunk_.empty()) return SendChunk(true);
    HttpRequest put{"POST", bucket_->UploadUrl("media", key_), {}, chunk_};
    put.headers["Content-Type"] = "application/octet-stream";
    ASSIGN_OR_RETURN(HttpResponse done, bucket_->Send(std::move(put), key_));
    return {};
  }

 private:
  Status Begin() {
    HttpRequest begin{"POST", bucket_->UploadUrl("resumable", key_), {}, "{}"};
    begin.headers["Content-Type"] = "application/json";
    begin.headers["X-Upload-Content-Type"] = "application/octet-stream";
    ASSIGN_OR_RETURN(HttpResponse begun, bucket_->Send(std::move(begin), key_));
    session_ = begun.headers["location"];
    if (session_.empty())
      return Fail(Code::kUnavailable, "{} does not begin an upload", bucket_->Describe());
    return {};
  }
  Status SendChunk(bool last) {
    if (session_.empty()) RETURN_IF_ERROR(Begin());
    for (int attempt = 0; attempt < kHttpAttempts; ++attempt) {
      uint64_t end = offset_ + chunk_.size();
      HttpRequest put{"PUT", session_, {}, chunk_};
      put.headers["Content-Range"] =
          chunk_.empty()
              ? fmt::format("bytes */{}", end)
              : fmt::format("bytes {}-{}/{}", offset_, end - 1, last ? std::to_string(end) : "*");
      ASSIGN_OR_RETURN(HttpResponse sent, bucket_->Send(std::move(put), key_));
      if (sent.status != 308) {
        if (!last) break;
        session_.clear();
        return {};
      }
      // What it has kept may be less than it was sent.
      std::string range = sent.headers["range"];
      uint64_t kept = offset_;
      if (size_t dash = range.rfind('-'); dash != range.npos)
        kept = ParseUint(std::string_view(range).substr(dash + 1)).value_or(0) + 1;
      kept = std::clamp(kept, offset_, end);
      chunk_.erase(0, static_cast<size_t>(kept - offset_));
      offset_ = kept;
      if (!last && chunk_.size() < kChunkBytes) return {};
    }
    return Fail(Code::kUnavailable, "uploading {} to {} does not go on", key_, bucket_->Describe());
  }
  std::shared_ptr<Bucket> bucket_;
  std::string key_, session_, chunk_;
  uint64_t offset_ = 0;  // of chunk_
};

class GcsReader final : public ObjectReader {
 public:
  GcsReader(std::shared_ptr<Bucket> bucket, std::string key)
      : bucket_(std::move(bucket)), key_(std::move(key)) {}
  // Its size, so that one that is missing is told early and no range begins behind its end.
  Status Begin() {
    HttpRequest look{"GET", bucket_->ObjectUrl(key_), {}, ""};
    ASSIGN_OR_RETURN(HttpResponse facts, bucket_->Send(std::move(look), key_));
    nlohmann::json json = nlohmann::json::parse(facts.body, nullptr, false);
    std::string size =
        json.is_object() && json.contains("size")
            ? (json["size"].is_string() ? json["size"].get<std::string>() : json["size"].dump())
            : "";
    std::optional<uint64_t> bytes = ParseUint(size);
    if (!bytes)
      return Fail(Code::kUnavailable, "{} tells no size of {}", bucket_->Describe(), key_);
    size_ = *bytes;
    return {};
  }
  Result<size_t> Read(char* buffer, size_t size) override {
    if (used_ == part_.size() && offset_ < size_) RETURN_IF_ERROR(Fetch());
    size_t now = std::min(size, part_.size() - used_);
    memcpy(buffer, part_.data() + used_, now);
    used_ += now;
    return now;
  }

 private:
  Status Fetch() {
    uint64_t want = std::min<uint64_t>(kRangeBytes, size_ - offset_);
    HttpRequest get{"GET", bucket_->ObjectUrl(key_) + "?alt=media", {}, ""};
    get.headers["Range"] = fmt::format("bytes={}-{}", offset_, offset_ + want - 1);
    ASSIGN_OR_RETURN(HttpResponse got, bucket_->Send(std::move(get), key_));
    // A server that knows no ranges sends all of it.
    if (got.status == 200 && got.body.size() == size_)
      got.body = got.body.substr(static_cast<size_t>(offset_), static_cast<size_t>(want));
    if (got.body.size() != want) {
      return Fail(Code::kDataLoss, "{} in {} ends too early", key_, bucket_->Describe());
    }
    part_ = std::move(got.body);
    used_ = 0;
    offset_ += want;
    return {};
  }
  std::shared_ptr<Bucket> bucket_;
  std::string key_, part_;
  size_t used_ = 0;
  uint64_t offset_ = 0, size_ = 0;
};

class GcsStorage final : public BucketStorage {
 public:
  explicit GcsStorage(std::shared_ptr<Bucket> bucket) : bucket_(std::move(bucket)) {}
  std::string Describe() const override { return bucket_->Describe(); }

 private:
  std::string Key(const std::string& path) const override { return bucket_->Key(path); }
  std::unique_ptr<ObjectWriter> Writer(const std::string& key) override {
    return std::make_unique<GcsWriter>(bucket_, key);
  }
  Result<std::unique_ptr<ObjectReader>> Reader(const std::string& key) override {
    auto reader = std::make_unique<GcsReader>(bucket_, key);
    RETURN_IF_ERROR(reader->Begin());
    return reader;
  }
  Status Remove(const std::string& key) override {
    HttpRequest remove{"DELETE", bucket_->ObjectUrl(key), {}, ""};
    ASSIGN_OR_RETURN(HttpResponse removed, bucket_->Send(std::move(remove), key));
    return {};
  }
  Status Walk(const std::string& prefix, bool one_level,
              const std::function<void(const std::string&)>& each) override {
    std::string next;
    do {
      std::string url = bucket_->ObjectsUrl() + "?prefix=" + EscapeUrl(prefix);
      if (one_level) url += "&delimiter=" + EscapeUrl("/");
      if (!next.empty()) url += "&pageToken=" + EscapeUrl(next);
      ASSIGN_OR_RETURN(HttpResponse page, bucket_->Send({"GET", url, {}, ""}, prefix));
      nlohmann::json json = nlohmann::json::parse(page.body, nullptr, false);
      if (!json.is_object())
        return Fail(Code::kUnavailable, "listing {} in {}: no JSON came", prefix, Describe());
      try {
        for (const auto& item : json.value("items", nlohmann::json::array()))
          each(item.at("name").get<std::string>());
        for (const auto& common : json.value("prefixes", nlohmann::json::array()))
          each(common.get<std::string>());
        next = json.value("nextPageToken", std::string());
      } catch (const nlohmann::json::exception& error) {
        return Fail(Code::kUnavailable, "listing {} in {}: {}", prefix, Describe(), error.what());
      }
    } while (!next.empty());
    return {};
  }
  std::shared_ptr<Bucket> bucket_;
};

GcsAccess& ProcessAccess() {
  static GcsAccess access;
  return access;
}

}  // namespace

void SetGcsAccess(GcsAccess access) { ProcessAccess() = std::move(access); }

Result<std::unique_ptr<Storage>> OpenGcsStorage(const std::string& address) {
  ASSIGN_OR_RETURN(Address at, ParseAddress(address));
  GcsAccess access = ProcessAccess();
  if (!access.emulator_host.empty()) {
    bool whole = access.emulator_host.find("://") != std::string::npos;
    at.endpoint = whole ? access.emulator_host : "http://" + access.emulator_host;
    while (at.endpoint.ends_with('/')) at.endpoint.pop_back();
  } else if (!access.credentials_file.empty()) {
    ASSIGN_OR_RETURN(ServiceAccount account, ReadServiceAccount(access.credentials_file));
    (void)account;
  }
  return std::make_unique<GcsStorage>(std::make_shared<Bucket>(std::move(at), std::move(access)));
}

}  // namespace paceline::backup
