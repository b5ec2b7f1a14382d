#include "worker/train/line_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/io/errno_status.h"

namespace lory::train {
namespace {

using Json = nlohmann::ordered_json;

// JSON has no word for what is not finite.
Json Number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

Json DomainJson(const lory::v1::DomainLoss& domain) {
  Json json = {{"domain", domain.domain()},
               {"loss", Number(domain.loss())},
               {"perplexity", Number(domain.perplexity())},
               {"tokens", domain.token_count()},
               {"unigram_entropy", Number(domain.unigram_entropy())}};
  if (domain.later_token_count() > 0) {
    json["later_loss"] = Number(domain.later_loss());
    json["later_tokens"] = domain.later_token_count();
  }
  if (domain.kept_out()) json["kept_out"] = true;
  return json;
}

}  // namespace

absl::StatusOr<LineFile> LineFile::Open(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(std::filesystem::path(path).parent_path(),
                                      error);
  if (error) {
    return lory::io::ErrnoStatus(error.value(),
                                 absl::StrCat("making the folder of ", path));
  }
  const int fd =
      open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) {
    return lory::io::ErrnoStatus(errno, absl::StrCat("opening ", path));
  }
  LineFile file(fd, path);
  struct stat status = {};
  char last = '\n';
  if (fstat(fd, &status) == 0 && status.st_size > 0 &&
      pread(fd, &last, 1, status.st_size - 1) == 1 && last != '\n') {
    file.Append("");
  }
  return file;
}

LineFile::~LineFile() {
  if (fd_ >= 0) close(fd_);
}

LineFile::LineFile(LineFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      path_(std::move(other.path_)),
      waiting_(std::move(other.waiting_)),
      failing_(other.failing_) {}

LineFile& LineFile::operator=(LineFile&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(path_, other.path_);
  std::swap(waiting_, other.waiting_);
  std::swap(failing_, other.failing_);
  return *this;
}

void LineFile::Append(absl::string_view line) {
  if (waiting_.size() < kWaitingLimit) absl::StrAppend(&waiting_, line, "\n");
  Flush();
}

bool LineFile::Flush() {
  // A full disk may take the beginning of a line and say why it does not take
  // more at the next try; the rest goes first later.
  while (!waiting_.empty()) {
    const ssize_t written = write(fd_, waiting_.data(), waiting_.size());
    if (written <= 0) break;
    waiting_.erase(0, written);
  }
  if (waiting_.empty() == !failing_) return waiting_.empty();
  failing_ = !waiting_.empty();
  Log(failing_ ? LogLevel::kError : LogLevel::kInfo,
      failing_ ? "lines wait in memory for the disk"
               : "lines are written again",
      {{"path", path_}, {"error", failing_ ? strerror(errno) : ""}});
  return !failing_;
}

std::string TraceLine(int64_t step, int64_t generation,
                      std::span<const ControlWord> words,
                      std::span<const int32_t> shares,
                      absl::string_view digest) {
  Json line = {{"step", step}, {"generation", generation}};
  line["sums"] = Json::array();
  for (const ControlWord& word : words) {
    line["sums"].push_back(absl::StrFormat("%016x", word.fingerprint_sum));
  }
  line["shares"] = Json::array();
  for (const int32_t share : shares) line["shares"].push_back(share);
  line["digest"] = absl::BytesToHexString(digest);
  return line.dump();
}

std::string MetricsLine(int64_t generation,
                        const lory::v1::JobProgress& progress) {
  Json line = {{"step", progress.step()},
               {"loss", Number(progress.loss())},
               {"auxiliary_loss", Number(progress.auxiliary_loss())},
               {"learning_rate", Number(progress.learning_rate())},
               {"gradient_norm", Number(progress.gradient_norm())},
               {"tokens_per_second", Number(progress.tokens_per_second())},
               {"step_seconds", Number(progress.step_times().total_seconds())},
               {"checkpoint_seconds",
                Number(progress.step_times().checkpoint_seconds())},
               {"generation", generation},
               {"dense_phase", progress.dense_phase()}};
  double active_share = 0;
  for (const lory::v1::LayerRouting& layer : progress.routing()) {
    active_share += layer.active_share() / progress.routing_size();
  }
  if (!progress.routing().empty()) line["active_share"] = active_share;
  return line.dump();
}

std::string EvaluationLine(int64_t generation,
                           const lory::v1::Evaluation& evaluation) {
  Json line = {{"step", evaluation.step()}, {"generation", generation}};
  line["overall"] = DomainJson(evaluation.overall());
  if (evaluation.has_kept_out()) {
    line["kept_out"] = DomainJson(evaluation.kept_out());
  }
  if (evaluation.has_train()) line["train"] = DomainJson(evaluation.train());
  line["domains"] = Json::array();
  for (const lory::v1::DomainLoss& domain : evaluation.domains()) {
    line["domains"].push_back(DomainJson(domain));
  }
  return line.dump();
}

}  // namespace lory::train
