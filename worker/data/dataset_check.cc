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

void DatasetCheck::Run(const std::stop_token& stop) {
  setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), 10);
  absl::Status status;
  for (const File& file : files_) {
    status = CheckFile(file, stop);
    if (!status.ok()) break;
  }
  MutexLock lock(&mutex_);
  status_ = std::move(status);
  done_ = true;
  changed_.NotifyAll();
}

absl::Status DatasetCheck::CheckFile(const File& file,
                                     const std::stop_token& stop) {
  LORY_ASSIGN_OR_RETURN(const std::string line, LineOf(file.path, file.sha256));
  if (options_.known.count(line) == 0) {
    return ReadFile(file, line, stop, [this] { ++pieces_read_; });
  }
  MutexLock lock(&mutex_);
  sound_[file.path] = line;
  return absl::OkStatus();
}

absl::Status DatasetCheck::ReadFile(const File& file, const std::string& line,
                                    const std::stop_token& stop,
                                    const std::function<void()>& progress) {
  LORY_ASSIGN_OR_RETURN(const std::string found,
                        io::FileSha256Hex(file.path, stop, progress));
  if (found != file.sha256) {
    return absl::DataLossError(absl::StrCat(file.path, ": SHA-256 is ", found,
                                            ", the manifest says ", file.sha256,
                                            ": altered since it was built"));
  }
  MutexLock lock(&mutex_);
  if (options_.on_sound != nullptr) options_.on_sound(line);
  sound_[file.path] = line;
  return absl::OkStatus();
}

absl::Status DatasetCheck::CheckAgain(const std::function<void()>& progress) {
  for (const File& file : files_) {
    std::string before;
    {
      MutexLock lock(&mutex_);
      if (!status_.ok()) return status_;
      const auto found = sound_.find(file.path);
      if (found == sound_.end()) continue;  // will be read, or was just now
      before = found->second;
    }
    LORY_ASSIGN_OR_RETURN(const std::string line,
                          LineOf(file.path, file.sha256));
    if (line == before) continue;
    LORY_RETURN_IF_ERROR(ReadFile(file, line, /*stop=*/{}, progress));
  }
  return absl::OkStatus();
}

}  // namespace lory::data
