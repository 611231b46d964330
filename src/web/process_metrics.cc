#include "web/process_metrics.h"

#include <dirent.h>
#include <fmt/format.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <string_view>
#include <vector>

namespace paceline::web {
namespace {

std::string ReadAll(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The fields of /proc/self/stat after the program's name, which may hold spaces: [0] is field 3.
std::vector<double> StatFields() {
  const std::string text = ReadAll("/proc/self/stat");
  const size_t name_end = text.rfind(')');
  std::vector<double> fields;
  if (name_end == std::string::npos || name_end + 3 > text.size()) return fields;
  std::istringstream rest(text.substr(name_end + 3));
  fields.push_back(0);  // the state, a letter
  for (double value = 0; rest >> value;) fields.push_back(value);
  return fields;
}

double BootTime() {
  const std::string text = ReadAll("/proc/stat");
  const size_t at = text.find("\nbtime ");
  double seconds = 0;
  if (at != std::string::npos) std::istringstream(text.substr(at + 7)) >> seconds;
  return seconds;
}

int OpenDescriptors() {
  DIR* dir = opendir("/proc/self/fd");
  if (dir == nullptr) return -1;
  int count = -3;  // ".", ".." and the folder itself
  while (readdir(dir) != nullptr) ++count;
  closedir(dir);
  return count;
}

void Append(std::string& out, std::string_view name, std::string_view type, std::string_view help,
            double value) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name, help,
                 type, value);
}

}  // namespace

std::string ProcessMetricsText() {
  std::string out;
  const double ticks = static_cast<double>(sysconf(_SC_CLK_TCK));
  // proc(5): utime is field 14, stime 15, starttime 22, vsize 23, rss 24 (pages).
  if (const std::vector<double> stat = StatFields(); stat.size() > 21) {
    Append(out, "process_cpu_seconds_total", "counter", "User and system CPU time",
           (stat[11] + stat[12]) / ticks);
    if (const double boot = BootTime(); boot > 0) {
      Append(out, "process_start_time_seconds", "gauge", "Start of the process since 1970",
             boot + stat[19] / ticks);
    }
    Append(out, "process_virtual_memory_bytes", "gauge", "Virtual memory", stat[20]);
    Append(out, "process_resident_memory_bytes", "gauge", "Resident memory",
           stat[21] * static_cast<double>(sysconf(_SC_PAGESIZE)));
  }
  if (const int open = OpenDescriptors(); open >= 0) {
    Append(out, "process_open_fds", "gauge", "Open descriptors", open);
  }
  if (rlimit limit{}; getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    Append(out, "process_max_fds", "gauge", "Most descriptors that may be open",
           static_cast<double>(limit.rlim_cur));
  }
  return out;
}

}  // namespace paceline::web
