#ifndef LORY_WORKER_DATA_DATASET_CHECK_H_
#define LORY_WORKER_DATA_DATASET_CHECK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/data/dataset_manifest.h"

namespace lory::data {

// Compares the SHA-256 of a dataset's shards, held-out ones too, with its
// manifest, in a thread of its own that yields to training. Dataset::Open
// looks at sizes; this finds a byte that was altered. Thread-safe.
class DatasetCheck {
 public:
  struct Options {
    std::string folder;  // the manifest's
    // What `on_sound` was told by earlier checks: a file that is still the
    // same to the file system is not read again.
    std::set<std::string> known;
    // Told, on the check's thread or that of CheckAgain, one at a time, of each
    // file found sound: its hash, what tells it apart (device, inode, size,
    // time of change) and its path.
    std::function<void(const std::string& line)> on_sound;
  };

  DatasetCheck(const DatasetManifest& manifest, Options options);

  // OK while nothing was found. DATA_LOSS: a file is altered; names it. The
  // operating system's error: it cannot be read.
  absl::Status status();

  // Looks at every file found sound so far, and reads those again that the file
  // system says were written to since: a mapped shard shows what others write
  // into it. `progress` is called while it reads. DATA_LOSS: one is altered;
  // names it. Otherwise as status().
  absl::Status CheckAgain(const std::function<void()>& progress);

  // Pieces of files read so far: grows for as long as it gets on.
  int64_t pieces_read() const { return pieces_read_; }

  // Waits at most `limit` for the end. Whether it came: every file is sound,
  // or status() says what is not.
  bool WaitUntilDone(absl::Duration limit);

 private:
  struct File {
    std::string path;
    std::string sha256;  // hex
  };

  void Run(const std::stop_token& stop);
  absl::Status CheckFile(const File& file, const std::stop_token& stop);
  // Reads the file, which is as `line` says.
  absl::Status ReadFile(const File& file, const std::string& line,
                        const std::stop_token& stop,
                        const std::function<void()>& progress);

  std::vector<File> files_;
  const Options options_;
  std::atomic<int64_t> pieces_read_ = 0;

  Mutex mutex_;
  CondVar changed_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  // By path: what told a file apart when it was found sound.
  std::map<std::string, std::string> sound_ ABSL_GUARDED_BY(mutex_);

  std::jthread thread_;  // last: ends before what it uses
};

// Bytes that a check of a dataset reads, but for the small index files.
int64_t CheckedBytes(const DatasetManifest& manifest);

}  // namespace lory::data

#endif  // LORY_WORKER_DATA_DATASET_CHECK_H_
