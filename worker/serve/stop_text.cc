#include "worker/serve/stop_text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "worker/serve/utf8.h"

namespace lory::serve {
StopText::StopText(std::vector<std::string> stops) : stops_(std::move(stops)) {}

size_t StopText::HeldBack() const {
  size_t held = OpenCharacter(pending_);
  for (const std::string& stop : stops_) {
    size_t length = std::min(stop.size() - 1, pending_.size());
    while (length > held &&
           !absl::EndsWith(pending_, absl::string_view(stop).substr(0, length)))
      --length;
    held = std::max(held, length);
  }
  return held;
}

std::string StopText::Add(absl::string_view bytes) {
  if (stopped_) return "";
  pending_.append(bytes.data(), bytes.size());
  size_t first = std::string::npos;
  for (const std::string& stop : stops_) {
    first = std::min(first, pending_.find(stop));
  }
  if (first != std::string::npos) {
    stopped_ = true;
    pending_.resize(first);
    return std::exchange(pending_, "");
  }
  const size_t shown = pending_.size() - HeldBack();
  std::string text = pending_.substr(0, shown);
  pending_.erase(0, shown);
  return text;
}

std::string StopText::Finish() { return std::exchange(pending_, ""); }

}  // namespace lory::serve
