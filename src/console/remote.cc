#include "console/remote.h"

#include "io/http_get.h"
#include "io/resolve.h"
#include "io/sync.h"

namespace paceline::console {
namespace {

using Json = nlohmann::json;

std::string KeyOf(const std::string& path) {
  const std::string last = path.substr(path.rfind('/') + 1);
  return last.substr(0, last.find('.'));
}

struct Round {
  std::vector<Json> answers;
  size_t left = 0;
  io::Event all;
};

io::Task<void> AskOne(std::shared_ptr<Round> round, size_t index, io::Address address,
                      std::vector<std::string> paths, std::string authorization,
                      Deadline deadline) {
  Json answer = {{"address", address.ToString()}};
  for (const std::string& path : paths) {
    Result<std::string> body = co_await io::HttpGet(address, path, deadline, authorization);
    if (!body && body.error().ToString().find(" 404 ") != std::string::npos) continue;
    if (!body) {
      answer["error"] = body.error().ToString();
      break;
    }
    Json json = Json::parse(*body, nullptr, false);
    if (!json.is_discarded()) answer[KeyOf(path)] = std::move(json);
  }
  round->answers[index] = std::move(answer);
  if (--round->left == 0) round->all.Set();
}

}  // namespace

io::Task<Json> AskAll(std::vector<io::Address> named, std::vector<std::string> paths,
                      std::string authorization, Deadline deadline) {
  std::vector<io::Address> addresses;
  for (const io::Address& name : named) {
    Result<std::vector<io::Address>> found = co_await io::AddressesOf(name);
    // What cannot be looked up is told as one that does not answer.
    if (found) {
      addresses.insert(addresses.end(), found->begin(), found->end());
    } else {
      addresses.push_back(name);
    }
  }
  auto round = std::make_shared<Round>();
  round->answers.resize(addresses.size());
  round->left = addresses.size();
  for (size_t i = 0; i < addresses.size(); ++i) {
    io::Detach(AskOne(round, i, addresses[i], paths, authorization, deadline));
  }
  if (round->left > 0) {
    bool all = co_await round->all.Wait(Deadline::Never());  // each ends by `deadline`
    (void)all;
  }
  co_return Json(round->answers);
}

}  // namespace paceline::console
