#include "worker/daemon/flags.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <climits>
#include <cstdio>
#include <filesystem>
#include <map>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "common/base/address.h"
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

std::string EnvironmentName(const std::string& flag) {
  return absl::StrCat("LORY_WORKER_", absl::AsciiStrToUpper(absl::StrReplaceAll(
                                          flag.substr(2), {{"-", "_"}})));
}

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

std::string CheckAddress(const std::string& text) {
  const HostPort parts = SplitHostPort(text);
  if (!parts.host.empty() && !parts.port.empty()) return "";
  return absl::StrCat("'", text, "' is not an address: give HOST:PORT");
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

void AddPlaces(CLI::App& app, Flags& flags) {
  app.add_option("--coordinator", flags.coordinator,
                 "Where the coordinator listens")
      ->type_name("HOST:PORT")
      ->check(CheckAddress)
      ->required();
  app.add_option(
         "--name", flags.name,
         "Name of this worker, its own in the cluster; default: the host's")
      ->type_name("ID")
      ->check(CheckId);
  app.add_option("--listen", flags.listen,
                 "Where to answer people and the coordinator; port 0: any")
      ->type_name("HOST:PORT")
      ->check(CheckAddress)
      ->capture_default_str();
  app.add_option("--http", flags.http,
                 "Where to serve /metrics and /healthz; port 0: any")
      ->type_name("HOST:PORT")
      ->check(CheckAddress)
      ->capture_default_str();
  app.add_option("--http-token-file", flags.http_token_file,
                 "File with a secret that readers of --http must show; needed "
                 "beyond loopback")
      ->type_name("FILE");
  app.add_option("--advertise-host", flags.advertise_host,
                 "Address under which other hosts reach this one's trainers; "
                 "default: the host of --listen")
      ->type_name("HOST");
  app.add_option("--work", flags.work,
                 "Folder for logs and sockets; of one worker only")
      ->type_name("DIR")
      ->required();
  app.add_option("--data-root", flags.roots.data,
                 "Folder beneath which datasets may lie; may be repeated")
      ->type_name("DIR")
      ->required();
  app.add_option("--storage-root", flags.roots.storage,
                 "Existing shared folder beneath which jobs may write")
      ->type_name("DIR")
      ->required();
  app.add_option("--ready-file", flags.ready_file,
                 "JSON file to write once everything listens")
      ->type_name("PATH");
}

void AddRest(CLI::App& app, Flags& flags) {
  app.add_option("--slots", flags.slots, "Trainers to run at once")
      ->type_name("N")
      ->check(CLI::Range(1, 64))
      ->capture_default_str();
  app.add_option("--trainer", flags.trainer,
                 "The trainer's binary; default: beside this one")
      ->type_name("PATH");
  app.add_option("--device", flags.device, "What trainers compute on")
      ->check(CLI::IsMember({"cpu"}))
      ->capture_default_str();
  app.add_option("--threads", flags.threads,
                 "Threads of one trainer; 0: the cores divided by the slots")
      ->type_name("N")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str();
  app.add_option("--tls-ca", flags.tls.ca, "CA that all parties trust")
      ->type_name("PEM");
  app.add_option("--tls-cert", flags.tls.cert, "Certificate of this worker")
      ->type_name("PEM");
  app.add_option("--tls-key", flags.tls.key, "Its private key")
      ->type_name("PEM");
  app.add_option_function<std::string>(
         "--log-format",
         [&flags](const std::string& text) {
           flags.log_format =
               text == "json" ? LogFormat::kJson : LogFormat::kText;
         },
         "How our own log lines look")
      ->check(CLI::IsMember({"text", "json"}))
      ->default_str("text");
}

}  // namespace

std::optional<Flags> ParseFlags(int argc, const char* const* argv,
                                int* exit_status) {
  const HostInfo host = ReadHostInfo();
  Flags flags = {.name = host.name};
  CLI::App app(kDescription, "lory-worker");
  app.footer(kFooter);
  app.set_version_flag("--version", std::string("lory-worker ") + LORY_VERSION);
  AddPlaces(app, flags);
  AddRest(app, flags);
  for (CLI::Option* option : app.get_options()) {
    const std::string name = option->get_name();
    if (name != "--help" && name != "--version") {
      option->envname(EnvironmentName(name));
    }
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    *exit_status = app.exit(error) == 0 ? kExitOk : kExitUsage;
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
