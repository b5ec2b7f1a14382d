#ifndef LORY_WORKER_SERVE_APP_H_
#define LORY_WORKER_SERVE_APP_H_

#include <cstdint>
#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/base/log.h"
#include "common/http/http_server.h"
#include "common/rpc/server.h"
#include "worker/serve/engine.h"
#include "worker/serve/front.h"
#include "worker/serve/http_api.h"
#include "worker/serve/inference_service.h"

namespace lory::serve {

// What a person can set; flags.cc says how.
struct AppOptions {
  std::string checkpoint;
  std::string tokenizer;   // empty: beside the checkpoint
  std::string model_name;  // empty: the job's, as in jobs/{name}
  std::string listen = "127.0.0.1:7460";
  std::string http = "127.0.0.1:7461";
  std::string http_token_file;  // empty: on loopback only
  rpc::TlsFiles tls;
  Inference inference = Inference::kPrompt;
  SlotFilling slots = SlotFilling::kRefuse;
  Engine::Options engine;
  absl::Duration request_timeout = absl::Minutes(10);
  int thread_count = 0;    // of LibTorch; 0: one a core
  std::string ready_file;  // empty: none
  LogFormat log_format = LogFormat::kText;
};

// A whole lory-server: the only place that constructs its parts.
class App {
 public:
  // Loads the checkpoint, then serves. Errors say what to change.
  static absl::StatusOr<std::unique_ptr<App>> Start(const AppOptions& options);

  // Stops serving; open requests end with UNAVAILABLE.
  ~App();

  const std::string& rpc_address() const { return server_->address(); }
  std::string http_address() const { return http_->address(); }
  const ServedModel& model() const { return *model_; }
  const Engine& engine() const { return *engine_; }
  const std::string& model_name() const { return front_->model_name; }

 private:
  App() = default;

  absl::Status Load(const AppOptions& options);
  absl::Status Serve(const AppOptions& options);

  std::unique_ptr<ServedModel> model_;
  text::TokenizerFile tokenizer_;
  ServerMetrics metrics_;
  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Front> front_;
  std::unique_ptr<InferenceServiceRpc> service_;
  std::unique_ptr<HttpApi> api_;
  std::jthread engine_thread_;
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<http::HttpServer> http_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_APP_H_
