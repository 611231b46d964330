#include "vttablet/manager/import_state.h"

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "io/blocking.h"
#include "io/file.h"

namespace paceline::vttablet {
namespace {

using Step = ImportState::Step;
constexpr Step kSteps[] = {Step::kNone, Step::kCopying, Step::kReplicating, Step::kSwitched,
                           Step::kReturning};

std::string FileIn(const std::string& folder) { return folder + "/state.json"; }

Status WriteAlone(const std::string& folder, const std::string& text) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::create_directories(folder, error);
  if (!error) fs::permissions(folder, fs::perms::owner_all, error);
  if (error) return Fail(Code::kUnavailable, "{}: {}", folder, error.message());
  return io::ReplaceFile(FileIn(folder), text);
}

Status RemoveAll(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  if (error) return Fail(Code::kUnavailable, "removing {}: {}", folder, error.message());
  return {};
}

}  // namespace

std::string_view StepName(Step step) {
  switch (step) {
    case Step::kNone:
      return "barred";
    case Step::kCopying:
      return "copying";
    case Step::kReplicating:
      return "replicating";
    case Step::kSwitched:
      return "switched";
    case Step::kReturning:
      return "returning";
  }
  return "";
}

Result<ImportState> ImportStateFile::Load() const {
  std::ifstream file(FileIn(folder_));
  ImportState state;
  if (!file) return state;
  std::stringstream text;
  text << file.rdbuf();
  nlohmann::json json = nlohmann::json::parse(text.str(), nullptr, false);
  if (!json.is_object()) {
    return Fail(Code::kDataLoss,
                "{} is damaged: it tells how far the import of a foreign server is; remove it, and "
                "run Import cancel",
                FileIn(folder_));
  }
  state.id = json.value("id", "");
  state.bar = json.value("bar", true);
  Result<record::TabletAlias> importer = record::ParseTabletAlias(json.value("importer", ""));
  if (importer) state.importer = *importer;
  const std::string step = json.value("step", "");
  for (Step one : kSteps) {
    if (step == StepName(one)) state.step = one;
  }
  state.source.host = json.value("host", "");
  state.source.port = json.value("port", uint16_t{0});
  state.source.user = json.value("user", "");
  state.source.password = json.value("password", "");
  state.source.database = json.value("database", "");
  state.frozen = json.value("frozen", false);
  state.events = json.value("events", false);
  state.write_stop_ms = json.value("write_stop_ms", int64_t{0});
  state.accounts = json.value("accounts", std::vector<std::string>());
  return state;
}

io::Task<Status> ImportStateFile::Save(ImportState state) {
  Status locked = co_await writing_.Lock(Deadline::In(30s));
  if (!locked) co_return locked;
  nlohmann::json json = {{"id", state.id},
                         {"bar", state.bar},
                         {"importer", state.importer.ToString()},
                         {"step", StepName(state.step)},
                         {"host", state.source.host},
                         {"port", state.source.port},
                         {"user", state.source.user},
                         {"password", state.source.password},
                         {"database", state.source.database},
                         {"frozen", state.frozen},
                         {"events", state.events},
                         {"write_stop_ms", state.write_stop_ms},
                         {"accounts", state.accounts}};
  constexpr auto kReplace = nlohmann::json::error_handler_t::replace;
  std::string text = state.id.empty() ? "" : json.dump(2, ' ', false, kReplace) + "\n";
  std::function<Status()> work = [folder = folder_, text] {
    return text.empty() ? RemoveAll(folder) : WriteAlone(folder, text);
  };
  Status written = co_await io::RunBlocking<Status>(std::move(work));
  writing_.Unlock();
  co_return written;
}

}  // namespace paceline::vttablet
