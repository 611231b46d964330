// base/log.h - one process log, on standard error or a file; spdlog does the work.
// LOG_INFO("tablet {} is serving", alias). Threads: any.
#pragma once

#include <fmt/core.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace paceline {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

struct LogOptions {
  std::string program = "paceline";
  std::string file;  // empty: standard error
  LogLevel level = LogLevel::kInfo;
};

void StartLog(const LogOptions& options);
bool LogEnabled(LogLevel level);
void LogLine(LogLevel level, std::string_view line);

template <class... Args>
void Log(LogLevel level, fmt::format_string<Args...> format, Args&&... args) {
  if (LogEnabled(level)) LogLine(level, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace paceline

#define LOG_DEBUG(...) ::paceline::Log(::paceline::LogLevel::kDebug, __VA_ARGS__)
#define LOG_INFO(...) ::paceline::Log(::paceline::LogLevel::kInfo, __VA_ARGS__)
#define LOG_WARNING(...) ::paceline::Log(::paceline::LogLevel::kWarning, __VA_ARGS__)
#define LOG_ERROR(...) ::paceline::Log(::paceline::LogLevel::kError, __VA_ARGS__)
