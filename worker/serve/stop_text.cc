#include "worker/serve/stop_text.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"

namespace lory::serve {
namespace {

// Bytes at the end of `text` that begin a UTF-8 character and do not end it.
size_t OpenCharacter(absl::string_view text) {
  for (size_t back = 1; back <= std::min<size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0) == 0x80) continue;  // inside a character
    size_t length = 1;
    if ((byte & 0xE0) == 0xC0) length = 2;
    if ((byte & 0xF0) == 0xE0) length = 3;
    if ((byte & 0xF8) == 0xF0) length = 4;
    return length > back ? back : 0;
  }
  return 0;
}

}  // namespace

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
