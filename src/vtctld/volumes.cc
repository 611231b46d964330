#include "vtctld/volumes.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "backup/http.h"
#include "base/quantity.h"
#include "base/strings.h"
#include "io/blocking.h"
#include "io/process.h"

namespace paceline::vtctld {
namespace {

using nlohmann::json;

class ByCommand final : public Volumes {
 public:
  explicit ByCommand(std::string command) : command_(std::move(command)) {}

  io::Task<Result<Progress>> Grow(VolumeAsked asked, Deadline deadline) override {
    io::ProcessOptions options;
    for (std::string_view word : Split(command_, ' ')) {
      if (!word.empty()) options.argv.emplace_back(word);
    }
    options.argv.insert(options.argv.end(),
                        {asked.tablet.alias.ToString(), asked.folder,
                         std::to_string(asked.old_bytes), std::to_string(asked.bytes)});
    options.env = {{"TABLET_HOSTNAME", asked.tablet.hostname},
                   {"KEYSPACE", asked.tablet.keyspace},
                   {"SHARD", asked.tablet.shard}};
    Result<io::CommandResult> ran = co_await io::RunCommand(std::move(options), deadline);
    if (!ran) co_return Fail(ran.error().Context("--resize-storage-command"));
    std::string said(Trim(ran->output));
    if (ran->exit.code != 0) {
      co_return Fail(Code::kInternal, "{} ended with {}: {}", command_, ran->exit.ToString(),
                     said.empty() ? "it said nothing" : said);
    }
    co_return Progress{true, said};
  }
  io::Task<Result<Progress>> Look(VolumeAsked, Deadline) override { co_return Progress{true, ""}; }

 private:
  std::string command_;
};

// What a claim says at `path`, "" where it says nothing.
std::string TextAt(const json& claim, const char* path) {
  const json::json_pointer at(path);
  return claim.contains(at) && claim[at].is_string() ? claim[at].get<std::string>() : "";
}

uint64_t BytesAt(const json& claim, const char* path) {
  Result<uint64_t> bytes = ParseBytes(TextAt(claim, path));
  return bytes ? *bytes : 0;
}

class ByKubernetes final : public Volumes {
 public:
  explicit ByKubernetes(KubernetesOptions options) : options_(std::move(options)) {}

  io::Task<Result<Progress>> Grow(VolumeAsked asked, Deadline) override {
    using Done = Result<Progress>;
    std::function<Done()> work = [this, asked = std::move(asked)] { return GrowBlocking(asked); };
    Done done = co_await io::RunBlocking<Done>(std::move(work));
    co_return done;
  }
  io::Task<Result<Progress>> Look(VolumeAsked asked, Deadline) override {
    using Done = Result<Progress>;
    std::function<Done()> work = [this, asked = std::move(asked)]() -> Done {
      ASSIGN_OR_RETURN(json claim, Ask("GET", ClaimOf(asked.tablet), ""));
      return ProgressOf(claim, asked.bytes);
    };
    Done done = co_await io::RunBlocking<Done>(std::move(work));
    co_return done;
  }

 private:
  std::string ClaimOf(const record::Tablet& tablet) const {
    const std::string pod = tablet.hostname.substr(0, tablet.hostname.find('.'));
    return ReplaceAll(options_.claim, "{pod}", pod);
  }

  Result<Progress> GrowBlocking(const VolumeAsked& asked) const {
    const std::string name = ClaimOf(asked.tablet);
    ASSIGN_OR_RETURN(json claim, Ask("GET", name, ""));
    const uint64_t requested = BytesAt(claim, "/spec/resources/requests/storage");
    if (requested > asked.bytes) {
      return Fail(Code::kFailedPrecondition,
                  "claim {} asks for {} already, and volumes only grow: ask for at least that",
                  name, FormatBytes(requested));
    }
    if (requested < asked.bytes) {
      const json patch = {
          {"spec", {{"resources", {{"requests", {{"storage", FormatBytes(asked.bytes)}}}}}}}};
      ASSIGN_OR_RETURN(claim, Ask("PATCH", name, patch.dump()));
    }
    Progress progress = ProgressOf(claim, asked.bytes);
    if (progress.told.empty())
      progress.told = fmt::format("claim {} asks for {}", name, FormatBytes(asked.bytes));
    return progress;
  }

  static Progress ProgressOf(const json& claim, uint64_t bytes) {
    Progress progress;
    progress.grown = BytesAt(claim, "/status/capacity/storage") >= bytes;
    const json::json_pointer conditions("/status/conditions");
    if (progress.grown || !claim.contains(conditions)) return progress;
    for (const json& condition : claim[conditions]) {
      std::string message = TextAt(condition, "/message");
      progress.told = TextAt(condition, "/type") + (message.empty() ? "" : ": " + message);
    }
    return progress;
  }

  Result<json> Ask(const char* method, const std::string& name, const std::string& body) const {
    backup::HttpRequest request;
    request.method = method;
    request.url = fmt::format("{}/api/v1/namespaces/{}/persistentvolumeclaims/{}", options_.api,
                              backup::EscapeUrl(options_.name_space), backup::EscapeUrl(name));
    request.headers["Accept"] = "application/json";
    if (!body.empty()) request.headers["Content-Type"] = "application/merge-patch+json";
    request.body = body;
    request.ca_file = options_.ca_file;
    if (!options_.token_file.empty()) {
      std::ifstream file(options_.token_file);
      std::stringstream token;
      token << file.rdbuf();
      if (!file) {
        return Fail(Code::kNotFound, "cannot read the service account's token {}",
                    options_.token_file);
      }
      request.headers["Authorization"] = "Bearer " + std::string(Trim(token.str()));
    }
    const std::string doing = fmt::format("{} of claim {}/{}", method, options_.name_space, name);
    for (int attempt = 1;; ++attempt) {
      Result<backup::HttpResponse> answer = backup::SendHttp(request);
      const bool again = !answer || answer->status == 429 || answer->status >= 500;
      if (again && attempt < backup::kHttpAttempts) {
        backup::PauseBeforeRetry(attempt);
        continue;
      }
      if (!answer) return Fail(answer.error().Context(doing + " at " + options_.api));
      json said = json::parse(answer->body, nullptr, false);
      if (answer->status == 200 && said.is_object()) return said;
      std::string why = said.is_object() ? TextAt(said, "/message") : answer->body.substr(0, 200);
      Code code = answer->status == 404 ? Code::kNotFound : Code::kPermissionDenied;
      if (answer->status != 404 && answer->status != 403 && answer->status != 401)
        code = Code::kUnavailable;
      return Fail(code, "{}: Kubernetes says {}: {}", doing, answer->status, why);
    }
  }

  KubernetesOptions options_;
};

}  // namespace

std::unique_ptr<Volumes> CommandVolumes(std::string command) {
  return std::make_unique<ByCommand>(std::move(command));
}
std::unique_ptr<Volumes> KubernetesVolumes(KubernetesOptions options) {
  return std::make_unique<ByKubernetes>(std::move(options));
}

}  // namespace paceline::vtctld
