#ifndef LORY_WORKER_SERVE_STOP_TEXT_H_
#define LORY_WORKER_SERVE_STOP_TEXT_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace lory::serve {

// Lets the text of an answer through up to the first stop text. Holds back what
// may become one, and characters whose last bytes are still to come.
// Thread-compatible.
class StopText {
 public:
  explicit StopText(std::vector<std::string> stops);

  // Takes the bytes of the next token; returns the text that may be shown.
  std::string Add(absl::string_view bytes);

  // Whether a stop text came; nothing more is let through.
  bool stopped() const { return stopped_; }

  // What was held back, when no more will come.
  std::string Finish();

 private:
  size_t HeldBack() const;

  const std::vector<std::string> stops_;
  std::string pending_;
  bool stopped_ = false;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_STOP_TEXT_H_
