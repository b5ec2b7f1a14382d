#ifndef LORY_WORKER_DAEMON_FLAGS_H_
#define LORY_WORKER_DAEMON_FLAGS_H_

#include <cstdint>
#include <optional>
#include <string>

#include "common/base/log.h"
#include "common/rpc/credentials.h"
#include "worker/daemon/assignment_check.h"

namespace lory::daemon {

// What a person sets, with every default filled in.
struct Flags {
  std::string coordinator;
  std::string name;
  int32_t slots = 1;
  std::string listen = "127.0.0.1:0";
  std::string http = "127.0.0.1:0";
  std::string http_token_file;  // empty: loopback only
  std::string work;
  std::string trainer;  // path of lory-trainer
  std::string advertise_host;
  AllowedRoots roots;
  std::string device = "cpu";
  int threads = 0;  // of a trainer; never 0 after ParseFlags
  rpc::TlsFiles tls;
  std::string ready_file;
  LogFormat log_format = LogFormat::kText;
};

// Exit statuses of the program.
inline constexpr int kExitOk = 0;
inline constexpr int kExitError = 1;      // could not start or go on
inline constexpr int kExitUsage = 2;      // wrong flags
inline constexpr int kExitNameTaken = 3;  // another daemon has this name

// Parses command line and environment (LORY_WORKER_...). Nothing: the program
// is to end with `exit_status`; what there was to say has been printed.
std::optional<Flags> ParseFlags(int argc, const char* const* argv,
                                int* exit_status);

}  // namespace lory::daemon

#endif  // LORY_WORKER_DAEMON_FLAGS_H_
