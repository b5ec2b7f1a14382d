#ifndef LORY_WORKER_SERVE_HTTP_API_H_
#define LORY_WORKER_SERVE_HTTP_API_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "common/http/http_server.h"
#include "worker/serve/completion_answer.h"
#include "worker/serve/completion_request.h"
#include "worker/serve/front.h"

namespace lory::serve {

// The model over HTTP, as OpenAI's completions and vLLM's tokenizer have it, so
// that their clients work: docs/serving.md. Thread-safe. `front` outlives it.
class HttpApi {
 public:
  explicit HttpApi(const Front& front) : front_(front) {}

  // By path; they refer to this.
  std::map<std::string, lory::http::Handler> Pages();
  std::map<std::string, lory::http::PostHandler> Posts();

  // ---- the answers, for tests ----
  lory::http::Response Complete(
      const std::string& body,
      const lory::http::ReaderLeft& reader_left = [] { return false; });
  lory::http::Response Tokenize(const std::string& body) const;
  lory::http::Response Detokenize(const std::string& body) const;

 private:
  // A completion on its way: one choice a prompt, made together.
  struct Open {
    CompletionRequest request;
    std::string id;
    int64_t created = 0;  // seconds of the epoch
    absl::Time since;
    std::shared_ptr<PieceQueue> pieces = std::make_shared<PieceQueue>();
    std::vector<std::shared_ptr<Generation>> generations;  // all into `pieces`
    std::vector<CompletionChoice> choices;                 // one of each

    ~Open() { Leave(); }  // whoever leaves early
    void Leave() const {
      for (const auto& generation : generations) generation->Cancel();
    }
  };

  // NOT_FOUND: `name` is another model's; empty: any.
  absl::Status CheckModel(const std::string& name) const;
  absl::StatusOr<std::shared_ptr<Open>> Begin(const std::string& body);
  nlohmann::ordered_json Envelope(const Open& open) const;
  // CANCELLED, of both: the reader left.
  absl::StatusOr<std::string> Whole(Open& open,
                                    const lory::http::ReaderLeft& reader_left);
  // Server-sent events, of each choice as its pieces come.
  absl::Status Stream(Open& open, const lory::http::BodyWriter& write,
                      const lory::http::ReaderLeft& reader_left);
  void Count(const Open& open, const absl::Status& status);

  const Front& front_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_HTTP_API_H_
