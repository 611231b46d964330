#include "base/log.h"

#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace paceline {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

spdlog::logger& Logger() {
  static std::shared_ptr<spdlog::logger> logger = [] {
    auto made = spdlog::stderr_logger_mt("paceline");
    made->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %L %v");
    return made;
  }();
  return *logger;
}

}  // namespace

void StartLog(const LogOptions& options) {
  spdlog::logger& logger = Logger();
  if (!options.file.empty()) {
    logger.sinks().assign(1, std::make_shared<spdlog::sinks::basic_file_sink_mt>(options.file));
  }
  logger.set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %L " + options.program + "[%P] %v");
  logger.set_level(ToSpdlog(options.level));
  logger.flush_on(spdlog::level::info);
}

bool LogEnabled(LogLevel level) { return Logger().should_log(ToSpdlog(level)); }

void LogLine(LogLevel level, std::string_view line) {
  Logger().log(ToSpdlog(level), fmt::string_view(line.data(), line.size()));
}

}  // namespace paceline
