// web/process_metrics.h - what Prometheus's own clients tell of their process: CPU time, memory,
// descriptors, start; read from /proc when asked. Threads: any.
#pragma once

#include <string>

namespace paceline::web {

// process_cpu_seconds_total and its like, without a program's prefix. What cannot be read is left
// out.
std::string ProcessMetricsText();

}  // namespace paceline::web
