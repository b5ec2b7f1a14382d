#include "worker/daemon/host_info.h"

#include <sched.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace lory::daemon {
namespace {

std::string ProcessorName() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(':');
    if (absl::StartsWith(line, "model name") && colon != std::string::npos) {
      return std::string(absl::StripAsciiWhitespace(line.substr(colon + 1)));
    }
  }
  return "cpu";
}

}  // namespace

HostInfo ReadHostInfo() {
  HostInfo info;
  char name[256] = {};
  ::gethostname(name, sizeof(name) - 1);
  info.name = absl::AsciiStrToLower(name);
  info.name = info.name.substr(0, info.name.find('.'));
  info.processor_name = ProcessorName();
  cpu_set_t cores;
  if (::sched_getaffinity(0, sizeof(cores), &cores) == 0) {
    info.core_count = CPU_COUNT(&cores);
  }
  info.memory_bytes =
      int64_t{::sysconf(_SC_PHYS_PAGES)} * ::sysconf(_SC_PAGESIZE);
  return info;
}

int64_t ResidentBytes(int64_t process_id) {
  std::ifstream file(absl::StrCat("/proc/", process_id, "/statm"));
  int64_t size_pages = 0;
  int64_t resident_pages = 0;
  if (!(file >> size_pages >> resident_pages)) return 0;
  return resident_pages * ::sysconf(_SC_PAGESIZE);
}

}  // namespace lory::daemon
