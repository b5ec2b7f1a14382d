#include "worker/serve/flags.h"

#include <string>

#include "absl/time/time.h"
#include "common/flags/command_line.h"

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

void AddLimits(flags::Command& line, AppOptions& options) {
  line.Add("--max-active", options.engine.max_active,
           "Requests that make tokens together")
      .Range(1, static_cast<int>(Engine::kMostOpen) - 1);
  line.Add("--max-queued", options.engine.max_queued,
           "Requests that wait; more are refused; with --max-active 252 at "
           "most")
      .Range(1, static_cast<int>(Engine::kMostOpen) - 1);
  line.Add("--merged-bytes", options.engine.merged_bytes,
           "Memory of merged experts, in use and kept, or of what slots give; "
           "0: enough for --max-active")
      .Size();
  line.AddDuration("--request-timeout", options.request_timeout,
                   "Longer requests are ended", absl::ZeroDuration());
  line.Add("--threads", options.thread_count,
           "Threads that compute; 0: one a core")
      .Range(0, 1024);
}

void AddAddresses(flags::Command& line, AppOptions& options) {
  line.Add("--listen", options.listen, "Where gRPC is served; port 0: any")
      .Address();
  line.Add("--http", options.http, "Where HTTP is served; port 0: any")
      .Address();
  line.Add("--http-token-file", options.http_token_file,
           "File with a secret that clients of --http must show; needed beyond "
           "loopback");
  line.Add("--tls-ca", options.tls.ca, "CA that both sides trust, PEM");
  line.Add("--tls-cert", options.tls.cert, "Own certificate, PEM");
  line.Add("--tls-key", options.tls.key, "Own private key, PEM");
  line.Add("--ready-file", options.ready_file,
           "Write the addresses here as JSON once serving");
}

}  // namespace

std::optional<int> ParseFlags(int argc, char** argv, AppOptions& options) {
  flags::CommandLine line(
      {.name = "lory-server",
       .about = "lory-server: text from a checkpoint, over gRPC and HTTP.",
       .footer = kFooter,
       .version = "lory-server " LORY_VERSION,
       .environment = "LORY_SERVER_",
       .show_defaults = true,
       .usage_exit = kExitUsage});
  line.Add("--checkpoint", options.checkpoint, "Folder step-N.gen-G")
      .Required();
  line.Add("--tokenizer", options.tokenizer,
           "tokenizer.json or tokenizer.model, or the dataset's folder; not "
           "given: the checkpoint's");
  line.Add("--model-name", options.model_name,
           "What clients call the model; not given: as its job");
  std::string inference = "prompt";
  line.Add("--inference", inference,
           "How experts are merged where a request does not say: prompt (once) "
           "or segment (as in training)")
      .OneOf({"prompt", "segment"});
  std::string slots = "refuse";
  line.Add("--soft-moe", slots,
           "A Soft MoE model reads no text from left to right: refuse it, or "
           "let the prompt alone fill its slots (prompt)")
      .OneOf({"refuse", "prompt"});
  AddAddresses(line, options);
  AddLimits(line, options);
  line.AddLogFormat(options.log_format, "text or json");
  if (const auto exit = line.Parse(argc, argv)) return exit;
  options.inference =
      inference == "prompt" ? Inference::kPrompt : Inference::kSegment;
  options.slots =
      slots == "prompt" ? SlotFilling::kPrompt : SlotFilling::kRefuse;
  return std::nullopt;
}

}  // namespace lory::serve
