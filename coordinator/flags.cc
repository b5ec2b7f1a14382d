#include "coordinator/flags.h"

#include <cstdio>
#include <string>

#include "absl/time/time.h"
#include "common/base/log.h"
#include "common/flags/command_line.h"

namespace lory::coordinator {
namespace {

constexpr char kFooter[] = R"(Examples:
  # everything on this machine
  lory-coordinator --state /var/lib/lory --storage-root /srv/lory \
      --data-root /srv/datasets

  # workers on other hosts: mutual TLS (make certificates with `loryctl certs`)
  lory-coordinator --listen 0.0.0.0:7440 --state /var/lib/lory \
      --storage-root /srv/lory --data-root /srv/datasets \
      --tls-ca ca.pem --tls-cert coordinator.pem --tls-key coordinator.key

Every flag can be set by a variable: --storage-root by
LORY_COORDINATOR_STORAGE_ROOT. Durations are like 500ms, 5s, 2m.

Exit codes: 0 stopped on request; 1 could not start, or the journal can no
longer be written; 2 wrong flags.)";

void AddPlaces(flags::Command& line, AppOptions& options) {
  line.Add("--listen", options.listen, "Where gRPC is served; port 0: any")
      .Address();
  line.Add("--http", options.http,
           "Where status page, /metrics and /healthz are served; port 0: any")
      .Address();
  line.Add("--http-token-file", options.http_token_file,
           "File with a secret that readers of --http must show; needed beyond "
           "loopback");
  line.Add("--state", options.state, "Folder of the journal");
  line.Add("--storage-root", options.storage_root,
           "Existing folder shared by all hosts; jobs lie in its jobs/");
  line.Add("--data-root", options.data_roots,
           "Datasets must lie beneath this folder; repeatable");
  line.Add("--tls-ca", options.tls.ca, "CA that both sides trust, PEM");
  line.Add("--tls-cert", options.tls.cert, "Own certificate, PEM");
  line.Add("--tls-key", options.tls.key, "Own private key, PEM");
}

void AddLimits(flags::Command& line, PlanOptions& limits) {
  line.AddDuration("--heartbeat", limits.heartbeat,
                   "Daemons say something at least this often");
  line.AddDuration("--lease", limits.lease,
                   "Silence after which a worker is suspected");
  line.AddDuration("--collective-timeout", limits.collective_timeout,
                   "Silence after which a rank gives its peer up");
  line.AddDuration("--hang-limit", limits.hang_limit,
                   "A trainer that stands still for this long is killed");
  line.AddDuration("--prepare-limit", limits.prepare_limit,
                   "A trainer that does not prepare in this time is left out");
  line.AddDuration("--round-seconds", limits.round_length,
                   "How long a lease of steps should last");
}

}  // namespace

std::optional<int> ParseFlags(int argc, char** argv, AppOptions& options) {
  flags::CommandLine line(
      {.name = "lory-coordinator",
       .about = "lory-coordinator: decides who trains what, and remembers it.",
       .footer = kFooter,
       .version = "lory-coordinator " LORY_VERSION,
       .environment = "LORY_COORDINATOR_",
       .show_defaults = true,
       .usage_exit = kExitUsage});
  AddPlaces(line, options);
  AddLimits(line, options.plan);
  line.Add("--ready-file", options.ready_file,
           "Write the addresses here as JSON once serving");
  line.AddLogFormat(options.log_format, "text or json");
  if (const auto exit = line.Parse(argc, argv)) return exit;
  if (const absl::Status limits = CheckPlanOptions(options.plan);
      !limits.ok()) {
    std::fprintf(stderr, "lory-coordinator: %s\n",
                 std::string(limits.message()).c_str());
    return kExitUsage;
  }
  return std::nullopt;
}

void LogLimits(const PlanOptions& limits) {
  const PlanOptions defaults;
  const auto log = [](absl::string_view flag, absl::Duration value,
                      absl::Duration standard) {
    Log(LogLevel::kInfo, "limit",
        {{"flag", flag},
         {"value", absl::FormatDuration(value)},
         {"origin", value == standard ? "default" : "flag"}});
  };
  log("--heartbeat", limits.heartbeat, defaults.heartbeat);
  log("--lease", limits.lease, defaults.lease);
  log("--collective-timeout", limits.collective_timeout,
      defaults.collective_timeout);
  log("--hang-limit", limits.hang_limit, defaults.hang_limit);
  log("--prepare-limit", limits.prepare_limit, defaults.prepare_limit);
  log("--round-seconds", limits.round_length, defaults.round_length);
}

}  // namespace lory::coordinator
