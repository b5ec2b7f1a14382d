#include "worker/data/dataset_check.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"
#include "common/io/storage.h"

namespace lory::data {
namespace {

std::vector<const ShardEntry*> ShardsOf(const DatasetManifest& manifest) {
  std::vector<const ShardEntry*> shards;
  for (const ShardEntry& shard : manifest.shards) shards.push_back(&shard);
  for (const HeldOutEntry& entry : manifest.held_out) {
    shards.push_back(&entry.shard);
  }
  return shards;
}

// What stays the same as long as a file does.
absl::StatusOr<std::string> LineOf(const std::string& path,
                                   const std::string& sha256) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0) {
    return io::ErrnoStatus(errno, absl::StrCat("looking at ", path));
  }
  return absl::StrCat(sha256, " ", info.st_dev, ":", info.st_ino, ":",
                      info.st_size, ":", info.st_ctim.tv_sec, ".",
                      info.st_ctim.tv_nsec, " ", path);
}

}  // namespace

int64_t CheckedBytes(const DatasetManifest& manifest) {
  int64_t bytes = 0;
  for (const ShardEntry* shard : ShardsOf(manifest)) bytes += shard->bin_bytes;
  return bytes;
}

DatasetCheck::DatasetCheck(const DatasetManifest& manifest, Options options)
    : options_(std::move(options)) {
  for (const ShardEntry* shard : ShardsOf(manifest)) {
    const std::string prefix = absl::StrCat(options_.folder, "/", shard->file);
    files_.push_back({absl::StrCat(prefix, ".idx"), shard->idx_sha256});
    files_.push_back({absl::StrCat(prefix, ".bin"), shard->bin_sha256});
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { Run(stop); });
}

absl::Status DatasetCheck::status() {
  MutexLock lock(&mutex_);
  return status_;
}

bool DatasetCheck::WaitUntilDone(absl::Duration limit) {
  MutexLock lock(&mutex_);
  while (!done_) {
    if (!changed_.WaitFor(&mutex_, limit)) return done_;
  }
  return true;
}

void DatasetCheck::LookAgain() {
  MutexLock lock(&mutex_);
  if (!status_.ok()) return;
  look_wanted_ = true;
  done_ = false;
  changed_.NotifyAll();
}

void DatasetCheck::Run(const std::stop_token& stop) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
  const std::stop_callback wake(stop, [this] {
    MutexLock lock(&mutex_);
    changed_.NotifyAll();
  });
  absl::Status status = CheckAll(stop);
  Say(status);
  while (status.ok() && AwaitLook(stop)) {
    status = CheckWritten(stop);
    Say(status);
  }
}

void DatasetCheck::Say(absl::Status status) {
  MutexLock lock(&mutex_);
  status_ = std::move(status);
  done_ = !status_.ok() || !look_wanted_;
  changed_.NotifyAll();
}

bool DatasetCheck::AwaitLook(const std::stop_token& stop) {
  MutexLock lock(&mutex_);
  while (!look_wanted_ && !stop.stop_requested()) changed_.Wait(&mutex_);
  look_wanted_ = false;
  return !stop.stop_requested();
}

absl::Status DatasetCheck::CheckAll(const std::stop_token& stop) {
  for (File& file : files_) {
    file.marks = io::FileMarks::Of({file.path});
    LORY_RETURN_IF_ERROR(CheckFile(file, stop));
  }
  return absl::OkStatus();
}

absl::Status DatasetCheck::CheckWritten(const std::stop_token& stop) {
  for (File& file : files_) {
    if (file.marks.FindWritten().empty()) continue;
    const io::FileMarks marks = io::FileMarks::Of({file.path});
    const absl::Status status = CheckFile(file, stop);
    if (absl::IsDataLoss(status)) return status;
    // What cannot be read now has altered nothing; the next look tries again.
    if (status.ok()) file.marks = marks;
  }
  return absl::OkStatus();
}

absl::Status DatasetCheck::CheckFile(const File& file,
                                     const std::stop_token& stop) {
  LORY_ASSIGN_OR_RETURN(const std::string line, LineOf(file.path, file.sha256));
  if (options_.known.count(line) > 0) return absl::OkStatus();
  LORY_ASSIGN_OR_RETURN(
      const std::string found,
      io::FileSha256Hex(file.path, stop, [this] { ++pieces_read_; }));
  if (found != file.sha256) {
    return absl::DataLossError(absl::StrCat(file.path, ": SHA-256 is ", found,
                                            ", the manifest says ", file.sha256,
                                            ": altered since it was built"));
  }
  if (options_.on_sound != nullptr) options_.on_sound(line);
  return absl::OkStatus();
}

}  // namespace lory::data
