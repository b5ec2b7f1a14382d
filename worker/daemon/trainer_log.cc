#include "worker/daemon/trainer_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/log.h"

namespace lory::daemon {
namespace {

constexpr size_t kReadBytes = 64 << 10;
constexpr size_t kLastLineBytes = 300;
constexpr size_t kMaxIdBytes = 63;

std::string RotatedPath(const std::string& path) { return path + ".1"; }

// The last `count` lines of `text`.
std::string Tail(const std::string& text, int64_t count) {
  size_t from = text.size();
  for (int64_t i = 0; i <= count && from != std::string::npos; ++i) {
    from = from == 0 ? std::string::npos : text.rfind('\n', from - 1);
  }
  return from == std::string::npos ? text : text.substr(from + 1);
}

std::string ReadAll(int fd) {
  std::string all;
  std::string piece(kReadBytes, '\0');
  ssize_t got = 0;
  while ((got = ::read(fd, piece.data(), piece.size())) > 0) {
    all.append(piece, 0, static_cast<size_t>(got));
  }
  return all;
}

std::string ReadFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string all = ReadAll(fd);
  ::close(fd);
  return all;
}

}  // namespace

std::string JobIdOf(absl::string_view job) {
  if (!absl::ConsumePrefix(&job, "jobs/")) return "";
  if (job.empty() || job.size() > kMaxIdBytes) return "";
  const bool plain = std::all_of(job.begin(), job.end(), [](char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
  return plain ? std::string(job) : "";
}

std::string LogPath(const std::string& folder, absl::string_view job,
                    int32_t slot) {
  return absl::StrCat(folder, "/", JobIdOf(job), "-", slot, ".log");
}

TrainerLog::TrainerLog(std::string path, int64_t limit_bytes)
    : path_(std::move(path)), limit_bytes_(limit_bytes) {
  Open();
}

TrainerLog::~TrainerLog() {
  if (fd_ >= 0) ::close(fd_);
}

void TrainerLog::Open() {
  fd_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  struct stat info = {};
  if (fd_ < 0 || ::fstat(fd_, &info) != 0) {
    Log(LogLevel::kWarning, "cannot write a trainer's log",
        {{"path", path_}, {"error", std::strerror(errno)}});
  }
  size_bytes_ = info.st_size;
}

void TrainerLog::Rotate() {
  if (fd_ >= 0) ::close(fd_);
  std::rename(path_.c_str(), RotatedPath(path_).c_str());
  Open();
}

void TrainerLog::RememberLine(absl::string_view text) {
  for (const char c : text) {
    if (c != '\n') {
      if (line_.size() < kLastLineBytes) line_ += c;
      continue;
    }
    const absl::string_view stripped = absl::StripAsciiWhitespace(line_);
    if (!stripped.empty()) last_line_ = std::string(stripped);
    line_.clear();
  }
}

void TrainerLog::Append(absl::string_view text) {
  if (text.empty()) return;
  RememberLine(text);
  // Rotating between lines only keeps every line in one file.
  if (size_bytes_ >= limit_bytes_ && at_line_start_) Rotate();
  if (::write(fd_, text.data(), text.size()) > 0) {
    size_bytes_ += static_cast<int64_t>(text.size());
  }
  at_line_start_ = text.back() == '\n';
}

TrainerLogReader::TrainerLogReader(std::string path, int64_t tail_lines)
    : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  backlog_ = ReadFile(RotatedPath(path_));
  if (tail_lines > 0) {
    if (fd_ >= 0) backlog_ += ReadAll(fd_);
    backlog_ = Tail(backlog_, tail_lines);
  }
}

TrainerLogReader::~TrainerLogReader() {
  if (fd_ >= 0) ::close(fd_);
}

std::string TrainerLogReader::ReadSome() {
  if (!backlog_.empty()) {
    std::string piece = backlog_.substr(0, kReadBytes);
    backlog_.erase(0, piece.size());
    return piece;
  }
  if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) return "";
  std::string piece(kReadBytes, '\0');
  const ssize_t got = ::read(fd_, piece.data(), piece.size());
  piece.resize(got > 0 ? static_cast<size_t>(got) : 0);
  if (!piece.empty()) return piece;
  // At the end of this file: go on with the new one if it was rotated away.
  struct stat ours = {};
  struct stat newest = {};
  if (::fstat(fd_, &ours) == 0 && ::stat(path_.c_str(), &newest) == 0 &&
      ours.st_ino != newest.st_ino) {
    ::close(fd_);
    fd_ = -1;
  }
  return "";
}

std::string TrainerLogReader::Next() {
  for (std::string piece = ReadSome(); !piece.empty(); piece = ReadSome()) {
    partial_ += piece;
    const size_t end = partial_.rfind('\n');
    if (end == std::string::npos) continue;
    std::string lines = partial_.substr(0, end + 1);
    partial_.erase(0, end + 1);
    return lines;
  }
  return "";
}

}  // namespace lory::daemon
