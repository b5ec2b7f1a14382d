#include "coordinator/flags.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "common/base/log.h"

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

std::string EnvName(const std::string& flag) {
  std::string name = "LORY_COORDINATOR_";
  for (const char c : flag.substr(2)) {
    name.push_back(c == '-' ? '_'
                            : static_cast<char>(
                                  std::toupper(static_cast<unsigned char>(c))));
  }
  return name;
}

template <typename T>
CLI::Option* Add(CLI::App& app, const std::string& flag, T& value,
                 const std::string& help) {
  return app.add_option(flag, value, help)
      ->envname(EnvName(flag))
      ->capture_default_str();
}

CLI::Option* AddDuration(CLI::App& app, const std::string& flag,
                         absl::Duration& value, const std::string& help) {
  return app
      .add_option_function<std::string>(
          flag,
          [&value](const std::string& text) {
            absl::ParseDuration(text, &value);  // checked below
          },
          help)
      ->check([](const std::string& text) {
        absl::Duration parsed;
        return absl::ParseDuration(text, &parsed)
                   ? std::string()
                   : absl::StrCat("'", text, "' is no duration, such as 5s");
      })
      ->envname(EnvName(flag))
      ->default_str(absl::FormatDuration(value))
      ->type_name("DURATION");
}

}  // namespace

std::optional<int> ParseFlags(int argc, char** argv, AppOptions& options) {
  CLI::App app("lory-coordinator: decides who trains what, and remembers it.",
               "lory-coordinator");
  app.footer(kFooter);
  app.set_version_flag("--version", "lory-coordinator " LORY_VERSION);
  Add(app, "--listen", options.listen, "Where gRPC is served; port 0: any");
  Add(app, "--http", options.http,
      "Where status page, /metrics and /healthz are served; port 0: any");
  Add(app, "--http-token-file", options.http_token_file,
      "File with a secret that readers of --http must show; needed beyond "
      "loopback");
  Add(app, "--state", options.state, "Folder of the journal");
  Add(app, "--storage-root", options.storage_root,
      "Existing folder shared by all hosts; jobs lie in its jobs/");
  Add(app, "--data-root", options.data_roots,
      "Datasets must lie beneath this folder; repeatable");
  Add(app, "--tls-ca", options.tls.ca, "CA that both sides trust, PEM");
  Add(app, "--tls-cert", options.tls.cert, "Own certificate, PEM");
  Add(app, "--tls-key", options.tls.key, "Own private key, PEM");
  AddDuration(app, "--heartbeat", options.plan.heartbeat,
              "Daemons say something at least this often");
  AddDuration(app, "--lease", options.plan.lease,
              "Silence after which a worker is suspected");
  AddDuration(app, "--collective-timeout", options.plan.collective_timeout,
              "Silence after which a rank gives its peer up");
  AddDuration(app, "--hang-limit", options.plan.hang_limit,
              "A trainer that stands still for this long is killed");
  AddDuration(app, "--prepare-limit", options.plan.prepare_limit,
              "A trainer that does not prepare in this time is left out");
  AddDuration(app, "--round-seconds", options.plan.round_length,
              "How long a lease of steps should last");
  Add(app, "--ready-file", options.ready_file,
      "Write the addresses here as JSON once serving");
  std::string log_format = "text";
  Add(app, "--log-format", log_format, "text or json")
      ->check(CLI::IsMember({"text", "json"}));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const bool wanted = error.get_exit_code() == 0;
    app.exit(error);
    return wanted ? kExitOk : kExitUsage;
  }
  options.log_format =
      log_format == "json" ? LogFormat::kJson : LogFormat::kText;
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
