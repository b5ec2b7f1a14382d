#ifndef LORY_TOOLS_LORYCTL_SETTINGS_H_
#define LORY_TOOLS_LORYCTL_SETTINGS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/loryctl/environment.h"

namespace lory::ctl {

enum class OutputFormat { kTable, kJson, kYaml, kName };

inline constexpr char kDefaultServer[] = "127.0.0.1:7440";

// Where the coordinator is and how to speak with it. Each value comes from its
// flag, else its environment variable, else the configuration file, else the
// default.
struct Settings {
  std::string server;
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  std::string output;
  double timeout_seconds = 10;

  // Where each came from, for `loryctl doctor`: "flag", "LORY_SERVER", ...
  std::string server_origin;
  std::string tls_origin;
};

// Path of the configuration file: LORY_CONFIG, or lory/config.yaml beneath
// XDG_CONFIG_HOME or ~/.config. Empty: no home.
std::string ConfigPath(const Environment& environment);

// Fills in what the flags left empty.
//
// INVALID_ARGUMENT: the configuration file is not as it must be. NOT_FOUND:
// LORY_CONFIG names none.
absl::Status CompleteSettings(const Environment& environment,
                              Settings& settings);

// INVALID_ARGUMENT: not table, json, yaml or name.
absl::StatusOr<OutputFormat> ParseOutputFormat(absl::string_view text);

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_SETTINGS_H_
