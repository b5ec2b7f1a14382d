#include "worker/serve/flags.h"

#include <CLI/CLI.hpp>
#include <cctype>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace lory::serve {
namespace {

constexpr char kFooter[] = R"(Examples:
  lory-server --checkpoint storage/jobs/tiny/checkpoints/step-100.gen-3 \
      --tokenizer data/demo
  curl -s http://127.0.0.1:7461/v1/completions \
      -H 'Content-Type: application/json' \
      -d '{"prompt": "def main():", "max_tokens": 20, "temperature": 0}'

Every flag can be set by a variable: --max-active by LORY_SERVER_MAX_ACTIVE.
Durations are like 500ms, 5s, 2m; sizes like 300000000, 512MB, 2GB.
docs/serving.md says more.

Exit codes: 0 stopped on request; 1 could not start; 2 wrong flags.)";

std::string EnvName(const std::string& flag) {
  std::string name = "LORY_SERVER_";
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

void AddLimits(CLI::App& app, AppOptions& options) {
  Add(app, "--max-active", options.engine.max_active,
      "Requests that make tokens together")
      ->check(CLI::Range(1, 1024));
  Add(app, "--max-queued", options.engine.max_queued,
      "Requests that wait; more are refused")
      ->check(CLI::Range(1, 4096));
  Add(app, "--merged-bytes", options.engine.merged_bytes,
      "Memory of merged experts, in use and kept; 0: enough for --max-active")
      ->transform(CLI::AsSizeValue(/*kb_is_1000=*/true));
  app.add_option_function<std::string>(
         "--request-timeout",
         [&options](const std::string& text) {
           absl::ParseDuration(text, &options.request_timeout);  // checked
         },
         "Longer requests are ended")
      ->check([](const std::string& text) {
        absl::Duration parsed;
        const bool fits =
            absl::ParseDuration(text, &parsed) && parsed > absl::ZeroDuration();
        return fits ? std::string()
                    : absl::StrCat("'", text, "' is no duration, such as 5s");
      })
      ->envname(EnvName("--request-timeout"))
      ->default_str(absl::FormatDuration(options.request_timeout))
      ->type_name("DURATION");
  Add(app, "--threads", options.thread_count,
      "Threads that compute; 0: one a core")
      ->check(CLI::Range(0, 1024));
}

void AddAddresses(CLI::App& app, AppOptions& options) {
  Add(app, "--listen", options.listen, "Where gRPC is served; port 0: any");
  Add(app, "--http", options.http, "Where HTTP is served; port 0: any");
  Add(app, "--http-token-file", options.http_token_file,
      "File with a secret that clients of --http must show; needed beyond "
      "loopback");
  Add(app, "--tls-ca", options.tls.ca, "CA that both sides trust, PEM");
  Add(app, "--tls-cert", options.tls.cert, "Own certificate, PEM");
  Add(app, "--tls-key", options.tls.key, "Own private key, PEM");
  Add(app, "--ready-file", options.ready_file,
      "Write the addresses here as JSON once serving");
}

}  // namespace

std::optional<int> ParseFlags(int argc, char** argv, AppOptions& options) {
  CLI::App app("lory-server: text from a checkpoint, over gRPC and HTTP.",
               "lory-server");
  app.footer(kFooter);
  app.set_version_flag("--version", "lory-server " LORY_VERSION);
  Add(app, "--checkpoint", options.checkpoint, "Folder step-N.gen-G")
      ->required();
  Add(app, "--tokenizer", options.tokenizer,
      "tokenizer.json, or the dataset's folder; not given: the checkpoint's");
  Add(app, "--model-name", options.model_name,
      "What clients call the model; not given: as its job");
  std::string inference = "prompt";
  Add(app, "--inference", inference,
      "How experts are merged where a request does not say: prompt (once) or "
      "segment (as in training)")
      ->check(CLI::IsMember({"prompt", "segment"}));
  AddAddresses(app, options);
  AddLimits(app, options);
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
  options.inference =
      inference == "prompt" ? Inference::kPrompt : Inference::kSegment;
  options.log_format =
      log_format == "json" ? LogFormat::kJson : LogFormat::kText;
  return std::nullopt;
}

}  // namespace lory::serve
