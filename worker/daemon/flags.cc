#include "worker/daemon/flags.h"

#include <unistd.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <filesystem>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/address.h"
#include "common/flags/command_line.h"
#include "worker/daemon/host_info.h"

namespace lory::daemon {
namespace {

constexpr char kDescription[] =
    "lory-worker: offers this host's devices to a Lory coordinator, starts a "
    "trainer for each slot in use and watches over them.";

constexpr char kFooter[] = R"(
Every flag can also come from the environment: LORY_WORKER_ and its name in
capitals, such as LORY_WORKER_COORDINATOR. A flag wins over the environment.

Examples:
  # One machine, one trainer.
  lory-worker --coordinator 127.0.0.1:7440 --work /var/lib/lory/worker \
      --data-root /srv/data --storage-root /srv/lory
  # A host of a cluster, two trainers of four threads each.
  lory-worker --coordinator lory.example:7440 --name node-7 --slots 2 \
      --threads 4 --listen 10.0.0.7:7450 --advertise-host 10.0.0.7 \
      --work /var/lib/lory/worker --data-root /srv/data \
      --storage-root /srv/lory --tls-ca ca.pem --tls-cert node-7.pem \
      --tls-key node-7.key

Exit status: 0 ended by SIGTERM or SIGINT, trainers with it; 1 could not start
or go on; 2 wrong flags; 3 another worker of this name is attached.)";

bool IsId(const std::string& text) {
  return !text.empty() && text.size() <= 63 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
         });
}

std::string CheckId(const std::string& text) {
  if (IsId(text)) return "";
  return absl::StrCat("'", text,
                      "' is not a worker's name: lower-case letters, digits "
                      "and hyphens, 1 to 63 of them");
}

std::string FolderOfThisBinary() {
  char path[PATH_MAX] = {};
  const ssize_t size = ::readlink("/proc/self/exe", path, sizeof(path) - 1);
  return size > 0 ? std::filesystem::path(path).parent_path().string() : ".";
}

// Fills in advertise_host; what is wrong with it, or nothing. Ranks on other
// hosts would wait in vain for one that advertises loopback.
std::string ResolveAdvertisedHost(Flags& flags) {
  if (flags.advertise_host.empty()) {
    flags.advertise_host = SplitHostPort(flags.listen).host;
  }
  const std::string& host = flags.advertise_host;
  if (host == "0.0.0.0" || host == "::") {
    return absl::StrCat("'", host,
                        "' is no address that others could reach: give "
                        "--advertise-host HOST");
  }
  if (IsLoopbackAddress(JoinHostPort(host, "0")) &&
      !IsLoopbackAddress(flags.coordinator)) {
    return absl::StrCat("the coordinator is at ", flags.coordinator,
                        ", but trainers of other hosts could not reach '", host,
                        "': give --advertise-host HOST and --listen "
                        "HOST:PORT with this host's address");
  }
  return "";
}

void AddPlaces(flags::Command& line, Flags& flags) {
  line.Add("--coordinator", flags.coordinator, "Where the coordinator listens")
      .Address()
      .Required();
  line.Add("--name", flags.name,
           "Name of this worker, its own in the cluster; default: the host's")
      .TypeName("ID")
      .Check(CheckId);
  line.Add("--listen", flags.listen,
           "Where to answer people and the coordinator; port 0: any")
      .Address()
      .ShowDefault();
  line.Add("--http", flags.http,
           "Where to serve /metrics and /healthz; port 0: any")
      .Address()
      .ShowDefault();
  line.Add("--http-token-file", flags.http_token_file,
           "File with a secret that readers of --http must show; needed "
           "beyond loopback")
      .TypeName("FILE");
  line.Add("--advertise-host", flags.advertise_host,
           "Address under which other hosts reach this one's trainers; "
           "default: the host of --listen")
      .TypeName("HOST");
  line.Add("--work", flags.work,
           "Folder for logs and sockets; of one worker only")
      .TypeName("DIR")
      .Required();
  line.Add("--data-root", flags.roots.data,
           "Folder beneath which datasets may lie; may be repeated")
      .TypeName("DIR")
      .Required();
  line.Add("--storage-root", flags.roots.storage,
           "Existing shared folder beneath which jobs may write")
      .TypeName("DIR")
      .Required();
  line.Add("--ready-file", flags.ready_file,
           "JSON file to write once everything listens")
      .TypeName("PATH");
}

void AddRest(flags::Command& line, Flags& flags) {
  line.Add("--slots", flags.slots, "Trainers to run at once")
      .TypeName("N")
      .Range(1, 64)
      .ShowDefault();
  line.Add("--trainer", flags.trainer,
           "The trainer's binary; default: beside this one")
      .TypeName("PATH");
  line.Add("--device", flags.device, "What trainers compute on")
      .OneOf({"cpu"})
      .ShowDefault();
  line.Add("--threads", flags.threads,
           "Threads of one trainer; 0: the cores divided by the slots")
      .TypeName("N")
      .Range(0, 1024)
      .ShowDefault();
  line.Add("--tls-ca", flags.tls.ca, "CA that all parties trust")
      .TypeName("PEM");
  line.Add("--tls-cert", flags.tls.cert, "Certificate of this worker")
      .TypeName("PEM");
  line.Add("--tls-key", flags.tls.key, "Its private key").TypeName("PEM");
  line.AddLogFormat(flags.log_format, "How our own log lines look");
}

}  // namespace

std::optional<Flags> ParseFlags(int argc, const char* const* argv,
                                int* exit_status) {
  const HostInfo host = ReadHostInfo();
  Flags flags = {.name = host.name};
  flags::CommandLine line({.name = "lory-worker",
                           .about = kDescription,
                           .footer = kFooter,
                           .version = "lory-worker " LORY_VERSION,
                           .environment = "LORY_WORKER_",
                           .usage_exit = kExitUsage});
  AddPlaces(line, flags);
  AddRest(line, flags);
  if (const auto exit = line.Parse(argc, argv)) {
    *exit_status = *exit;
    return std::nullopt;
  }
  if (const std::string wrong = CheckId(flags.name); !wrong.empty()) {
    std::fprintf(stderr, "%s; this is the host's name, give --name\n",
                 wrong.c_str());
    *exit_status = kExitUsage;
    return std::nullopt;
  }
  if (const std::string wrong = ResolveAdvertisedHost(flags); !wrong.empty()) {
    std::fprintf(stderr, "--advertise-host: %s\n", wrong.c_str());
    *exit_status = kExitUsage;
    return std::nullopt;
  }
  if (flags.trainer.empty()) {
    flags.trainer = FolderOfThisBinary() + "/lory-trainer";
  }
  if (flags.threads == 0) {
    flags.threads = std::max(1, host.core_count / flags.slots);
  }
  return flags;
}

}  // namespace lory::daemon
