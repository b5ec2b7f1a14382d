#include "common/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <system_error>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"

namespace lory::metrics {
namespace {

prometheus::MetricFamily One(const std::string& name, const std::string& help,
                             double value, bool counter) {
  prometheus::MetricFamily family;
  family.name = name;
  family.help = help;
  family.type =
      counter ? prometheus::MetricType::Counter : prometheus::MetricType::Gauge;
  prometheus::ClientMetric metric;
  (counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(metric);
  return family;
}

std::string ReadAll(const char* path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

// Seconds since 1970 at which the machine started.
double BootTimeSeconds() {
  const std::string stat = ReadAll("/proc/stat");
  const size_t at = stat.find("\nbtime ");
  if (at == std::string::npos) return 0;
  return static_cast<double>(std::atoll(stat.c_str() + at + 7));
}

int64_t OpenDescriptorCount() {
  std::error_code error;
  int64_t count = 0;
  for (std::filesystem::directory_iterator it("/proc/self/fd", error), end;
       !error && it != end; it.increment(error)) {
    ++count;
  }
  return count - 1;  // the one that lists them
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics() {
  std::vector<prometheus::MetricFamily> families;
  // The name in parentheses may hold spaces: count fields after it. Field
  // numbers are those of proc(5), which begins with the state as number 3.
  const std::string stat = ReadAll("/proc/self/stat");
  const size_t name_end = stat.rfind(") ");
  if (name_end == std::string::npos) return families;
  const std::vector<std::string> fields =
      absl::StrSplit(stat.substr(name_end + 2), ' ');
  const auto field = [&fields](size_t number) {
    double value = 0;
    if (number - 3 < fields.size()) {
      (void)absl::SimpleAtod(fields[number - 3], &value);
    }
    return value;
  };
  const double ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  const double page = static_cast<double>(::sysconf(_SC_PAGESIZE));
  families.push_back(One("process_cpu_seconds_total",
                         "Processor time used, user and system.",
                         (field(14) + field(15)) / ticks, true));
  families.push_back(One("process_resident_memory_bytes", "Memory held in RAM.",
                         field(24) * page, false));
  families.push_back(One("process_virtual_memory_bytes",
                         "Address space in use.", field(23), false));
  families.push_back(One("process_start_time_seconds",
                         "When the process started, since 1970.",
                         BootTimeSeconds() + field(22) / ticks, false));
  families.push_back(One("process_open_fds", "Open file descriptors.",
                         static_cast<double>(OpenDescriptorCount()), false));
  rlimit limit = {};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    families.push_back(One("process_max_fds",
                           "File descriptors it may have open.",
                           static_cast<double>(limit.rlim_cur), false));
  }
  return families;
}

}  // namespace lory::metrics
