#include "worker/serve/app.h"

#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/config/generation_labels.h"
#include "common/io/storage.h"
#include "worker/device/cpu.h"

namespace lory::serve {
namespace {

namespace fs = std::filesystem;

constexpr absl::Duration kShutdownGrace = absl::Seconds(2);
// Threads of HTTP beyond requests that work or wait: refusals, health, metrics.
constexpr int64_t kSpareThreads = 4;
static_assert(Engine::kMostOpen + kSpareThreads == 256);

absl::StatusOr<text::TokenizerFile> OpenTokenizer(const AppOptions& options,
                                                  const ServedModel& model) {
  std::string path = options.tokenizer;
  if (path.empty()) {
    // The folder: of two files in it the one of the manifest is taken.
    path = options.checkpoint;
    const std::string file = text::TokenizerPath(path);
    std::error_code error;
    if (!fs::is_regular_file(file, error)) {
      return absl::InvalidArgumentError(absl::StrCat(
          "there is no ", file, ": give the dataset's folder, its ",
          text::kTokenizerFile, " or ", text::kSentencePieceFile,
          " with --tokenizer"));
    }
  }
  return text::OpenTokenizer(path,
                             {.vocabulary_size = model.shape().vocabulary_size,
                              .sha256 = model.manifest().tokenizer_sha256});
}

absl::Status WriteReadyFile(const std::string& path, const App& app) {
  if (path.empty()) return absl::OkStatus();
  std::error_code error;
  const nlohmann::json json = {{"grpc", app.rpc_address()},
                               {"http", app.http_address()},
                               {"pid", ::getpid()}};
  return io::LocalStorage().Write(fs::absolute(path, error).string(),
                                  json.dump() + "\n");
}

}  // namespace

absl::StatusOr<std::unique_ptr<App>> App::Start(const AppOptions& options) {
  device::SetUpCpu({.thread_count = options.thread_count});
  auto app = std::unique_ptr<App>(new App);
  LORY_RETURN_IF_ERROR(app->Load(options));
  LORY_RETURN_IF_ERROR(app->Serve(options));
  app->server_->SetServing(true);
  LORY_RETURN_IF_ERROR(WriteReadyFile(options.ready_file, *app));
  return app;
}

absl::Status App::Load(const AppOptions& options) {
  LORY_ASSIGN_OR_RETURN(model_,
                        ServedModel::Open(options.checkpoint, options.slots));
  if (options.inference == Inference::kSegment && !model_->shape().is_causal) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--inference: is segment, but the model (",
        model_->shape().feed_forward_summary,
        ") routes by all of a text, which is not there while it is written; "
        "start with --inference prompt, which routes by the prompt"));
  }
  LORY_ASSIGN_OR_RETURN(tokenizer_, OpenTokenizer(options, *model_));
  Engine::Options engine = options.engine;
  engine.end_tokens = config::EndTokens(model_->manifest().spec);
  LORY_ASSIGN_OR_RETURN(engine_,
                        Engine::Create(engine, *model_, *tokenizer_.tokenizer,
                                       RealClock(), &metrics_));
  std::string name = options.model_name;
  if (name.empty()) {
    name = std::string(absl::StripPrefix(model_->manifest().job, "jobs/"));
  }
  front_ = std::make_unique<Front>(
      Front{.model = *model_,
            .tokenizer = tokenizer_,
            .engine = *engine_,
            .metrics = metrics_,
            .clock = RealClock(),
            .model_name = std::move(name),
            .inference = options.inference,
            .request_timeout = options.request_timeout});
  return absl::OkStatus();
}

absl::Status App::Serve(const AppOptions& options) {
  service_ = std::make_unique<InferenceServiceRpc>(*front_);
  api_ = std::make_unique<HttpApi>(*front_);
  const int64_t threads =
      options.engine.max_active + options.engine.max_queued + kSpareThreads;
  engine_thread_ =
      std::jthread([this](std::stop_token stop) { engine_->Run(stop); });
  LORY_ASSIGN_OR_RETURN(server_, rpc::Server::Start({.address = options.listen,
                                                     .tls = options.tls},
                                                    {service_.get()}));
  LORY_ASSIGN_OR_RETURN(
      http_,
      http::HttpServer::Start(
          options.http, options.http_token_file, api_->Pages(),
          {.posts = api_->Posts(), .thread_count = static_cast<int>(threads)}));
  return absl::OkStatus();
}

App::~App() {
  if (server_ != nullptr) server_->SetServing(false);
  // Ends every open request, which the servers wait for.
  if (engine_thread_.joinable()) {
    engine_thread_.request_stop();
    engine_thread_.join();
  }
  if (server_ != nullptr) server_->Shutdown(kShutdownGrace);
  http_.reset();
}

}  // namespace lory::serve
