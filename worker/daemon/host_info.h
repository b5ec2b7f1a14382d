#ifndef LORY_WORKER_DAEMON_HOST_INFO_H_
#define LORY_WORKER_DAEMON_HOST_INFO_H_

#include <cstdint>
#include <string>

namespace lory::daemon {

// The machine, as /proc describes it.
struct HostInfo {
  std::string name;            // the host's name, without its domain
  std::string processor_name;  // "cpu" when it does not say
  int core_count = 1;          // that this process may use
  int64_t memory_bytes = 0;
};

HostInfo ReadHostInfo();

// What a living process holds in RAM; 0: unknown.
int64_t ResidentBytes(int64_t process_id);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_HOST_INFO_H_
