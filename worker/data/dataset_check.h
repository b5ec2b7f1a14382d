#ifndef LORY_WORKER_DATA_DATASET_CHECK_H_
#define LORY_WORKER_DATA_DATASET_CHECK_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <set>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "common/data/dataset_manifest.h"
#include "common/io/file_marks.h"

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
    // Told, on the check's thread, of each file found sound: its hash, what
    // tells it apart (device, inode, size, time of change) and its path.
    std::function<void(const std::string& line)> on_sound;
  };

  DatasetCheck(const DatasetManifest& manifest, Options options);

  // OK while nothing was found. DATA_LOSS: a file is altered; names it. The
  // operating system's error: it cannot be read.
  absl::Status status();

  // Has the files looked at once more, in the check's thread: those that were
  // written to since they were read are read again, for a mapped shard shows
  // what others write into it. Until that is done WaitUntilDone says that it is
  // not. Does not wait.
  void LookAgain();

  // Pieces of files read so far: grows for as long as it gets on.
  int64_t pieces_read() const { return pieces_read_; }

  // Waits at most `limit` for the end. Whether it came: every file is sound,
  // or status() says what is not.
  bool WaitUntilDone(absl::Duration limit);

 private:
  struct File {
    std::string path;
    std::string sha256;   // hex
    io::FileMarks marks;  // taken before it was read
  };

  void Run(const std::stop_token& stop);
  absl::Status CheckAll(const std::stop_token& stop);
  absl::Status CheckWritten(const std::stop_token& stop);
  absl::Status CheckFile(const File& file, const std::stop_token& stop);
  // Says what a look found, unless another is wanted by now.
  void Say(absl::Status status);
  // False: the check is to end.
  bool AwaitLook(const std::stop_token& stop);

  std::vector<File> files_;  // of the thread alone, once it runs
  const Options options_;
  std::atomic<int64_t> pieces_read_ = 0;

  Mutex mutex_;
  CondVar changed_;
  absl::Status status_ ABSL_GUARDED_BY(mutex_);
  bool done_ ABSL_GUARDED_BY(mutex_) = false;
  bool look_wanted_ ABSL_GUARDED_BY(mutex_) = false;

  std::jthread thread_;  // last: ends before what it uses
};

// Bytes that a check of a dataset reads, but for the small index files.
int64_t CheckedBytes(const DatasetManifest& manifest);

}  // namespace lory::data

#endif  // LORY_WORKER_DATA_DATASET_CHECK_H_
