#include "common/base/progress.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace lory {
namespace {

constexpr int kBarWidth = 24;
// Of the whole, before the time that is left is told: of a few short documents
// before a giant one it is hours.
constexpr double kLeastShare = 0.01;
constexpr absl::Duration kTerminalInterval = absl::Milliseconds(100);
constexpr absl::Duration kPlainInterval = absl::Seconds(10);

std::string Short(double value) {
  if (value >= 1e9) return absl::StrFormat("%.1fG", value / 1e9);
  if (value >= 1e6) return absl::StrFormat("%.1fM", value / 1e6);
  if (value >= 1e3) return absl::StrFormat("%.1fk", value / 1e3);
  return absl::StrFormat("%.0f", value);
}

}  // namespace

std::string ProgressLine(absl::string_view stage, int64_t done, int64_t total,
                         absl::Duration elapsed, absl::string_view unit) {
  const double seconds = std::max(absl::ToDoubleSeconds(elapsed), 1e-3);
  const double rate = static_cast<double>(done) / seconds;
  const std::string each = unit.empty() ? "" : absl::StrCat(" ", unit);
  if (total <= 0) {
    return absl::StrFormat("%-10s %s%s, %s%s/s", stage,
                           Short(static_cast<double>(done)), each, Short(rate),
                           each);
  }
  const double share =
      std::min(1.0, static_cast<double>(done) / static_cast<double>(total));
  const int full = static_cast<int>(share * kBarWidth);
  std::string line = absl::StrFormat(
      "%-10s [%s%s] %3.0f%%  %s%s/s", stage, std::string(full, '#'),
      std::string(kBarWidth - full, '.'), 100 * share, Short(rate), each);
  if (share >= kLeastShare) {
    absl::StrAppend(&line, "  ",
                    absl::FormatDuration(absl::Seconds(static_cast<int64_t>(
                        seconds * (1 - share) / std::max(share, 1e-9)))),
                    " left");
  }
  return line;
}

void Progress::Start(absl::string_view stage, int64_t total,
                     absl::string_view unit) {
  MutexLock lock(&mutex_);
  const absl::Time now = clock_.MonotonicNow();
  if (stage_ != stage) stage_start_ = now;
  stage_ = std::string(stage);
  unit_ = std::string(unit);
  done_ = 0;
  total_ = total;
  start_ = now;
  last_ = start_;
}

void Progress::Advance(int64_t units) {
  MutexLock lock(&mutex_);
  done_ += units;
  const absl::Time now = clock_.MonotonicNow();
  if (now - last_ < (is_terminal_ ? kTerminalInterval : kPlainInterval)) return;
  last_ = now;
  const std::string line =
      ProgressLine(stage_, done_, total_, now - start_, unit_);
  if (is_terminal_) {
    std::fprintf(file_, "\r\033[K%s", line.c_str());
  } else {
    std::fprintf(file_, "%s\n", line.c_str());
  }
  std::fflush(file_);
}

void Progress::Finish(absl::string_view summary) {
  MutexLock lock(&mutex_);
  Clear();
  const double seconds =
      absl::ToDoubleSeconds(clock_.MonotonicNow() - stage_start_);
  std::fprintf(
      file_, "%s\n",
      absl::StrFormat("%-10s %s (%.1f s)", stage_, summary, seconds).c_str());
  stage_.clear();
  std::fflush(file_);
}

void Progress::Say(absl::string_view line) {
  MutexLock lock(&mutex_);
  Clear();
  std::fprintf(file_, "%s\n", std::string(line).c_str());
  std::fflush(file_);
}

void Progress::Clear() {
  if (is_terminal_) std::fprintf(file_, "\r\033[K");
}

}  // namespace lory
