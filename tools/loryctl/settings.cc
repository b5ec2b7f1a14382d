#include "tools/loryctl/settings.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/yaml_tree.h"
#include "common/io/storage.h"

namespace lory::ctl {
namespace {

// One setting: its key in the file, its variable, and where it goes.
struct Setting {
  absl::string_view key;
  absl::string_view variable;
  std::string Settings::*value;
  std::string Settings::*origin;
};

constexpr Setting kSettings[] = {
    {"server", "LORY_SERVER", &Settings::server, &Settings::server_origin},
    {"tls_ca", "LORY_TLS_CA", &Settings::tls_ca, &Settings::tls_origin},
    {"tls_cert", "LORY_TLS_CERT", &Settings::tls_cert, nullptr},
    {"tls_key", "LORY_TLS_KEY", &Settings::tls_key, nullptr},
    {"output", "LORY_OUTPUT", &Settings::output, nullptr},
};

void Take(const Setting& setting, const std::string& value,
          absl::string_view origin, Settings& settings) {
  if (value.empty() || !(settings.*setting.value).empty()) return;
  settings.*setting.value = value;
  if (setting.origin != nullptr) {
    settings.*setting.origin = std::string(origin);
  }
}

absl::Status TakeFile(const std::string& path, const std::string& text,
                      Settings& settings) {
  LORY_ASSIGN_OR_RETURN(const config::YamlNode root,
                        config::ParseYaml(text, path));
  for (const config::YamlEntry& entry : root.entries) {
    const Setting* found = nullptr;
    for (const Setting& setting : kSettings) {
      if (setting.key == entry.key) found = &setting;
    }
    const absl::string_view problem =
        found == nullptr
            ? "unknown key; known are server, tls_ca, tls_cert, tls_key, output"
        : entry.value.kind != config::YamlNode::Kind::kScalar
            ? "a text belongs here"
            : "";
    if (!problem.empty()) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ":", entry.line, ": ", entry.key, ": ", problem));
    }
    Take(*found, entry.value.scalar, path, settings);
  }
  return absl::OkStatus();
}

}  // namespace

std::string ConfigPath(const Environment& environment) {
  const std::string named = environment.variable("LORY_CONFIG");
  if (!named.empty()) return named;
  const std::string base = environment.variable("XDG_CONFIG_HOME");
  if (!base.empty()) return absl::StrCat(base, "/lory/config.yaml");
  const std::string home = environment.variable("HOME");
  return home.empty() ? "" : absl::StrCat(home, "/.config/lory/config.yaml");
}

absl::Status CompleteSettings(const Environment& environment,
                              Settings& settings) {
  if (!settings.server.empty()) settings.server_origin = "--server";
  if (!settings.tls_ca.empty()) settings.tls_origin = "--tls-ca";
  for (const Setting& setting : kSettings) {
    Take(setting, environment.variable(setting.variable), setting.variable,
         settings);
  }
  const std::string path = ConfigPath(environment);
  if (!path.empty()) {
    const absl::StatusOr<std::string> text = io::LocalStorage().Read(path);
    if (text.ok()) {
      LORY_RETURN_IF_ERROR(TakeFile(path, *text, settings));
    } else if (!absl::IsNotFound(text.status()) ||
               !environment.variable("LORY_CONFIG").empty()) {
      return Annotate(text.status(), "reading the configuration file");
    }
  }
  for (const Setting& setting : kSettings) {
    if (setting.key == "server") {
      Take(setting, kDefaultServer, "default", settings);
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<OutputFormat> ParseOutputFormat(absl::string_view text) {
  if (text.empty() || text == "table") return OutputFormat::kTable;
  if (text == "json") return OutputFormat::kJson;
  if (text == "yaml") return OutputFormat::kYaml;
  if (text == "name") return OutputFormat::kName;
  return absl::InvalidArgumentError(
      absl::StrCat("-o ", text, ": choose table, json, yaml or name"));
}

}  // namespace lory::ctl
