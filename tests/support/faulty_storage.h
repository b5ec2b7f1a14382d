#ifndef LORY_TESTS_SUPPORT_FAULTY_STORAGE_H_
#define LORY_TESTS_SUPPORT_FAULTY_STORAGE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/mutex.h"
#include "common/io/storage.h"

namespace lory::testing {

// A storage that passes everything on to another one until it is told to
// fail. Thread-safe.
//
//   FaultyStorage storage(io::LocalStorage());
//   storage.FailWrite(3, absl::InternalError("cable pulled"));
//   storage.LimitBytes(1000);  // then the disk is full
class FaultyStorage final : public io::Storage {
 public:
  explicit FaultyStorage(io::Storage& storage) : storage_(storage) {}

  // The `nth` call of Append or Commit from now on (1: the next) fails with
  // `status`, and so does every one after it until Heal.
  void FailWrite(int64_t nth, absl::Status status);
  // Appends beyond `bytes` in all fail with RESOURCE_EXHAUSTED.
  void LimitBytes(int64_t bytes);
  // Reads fail with `status`.
  void FailReads(absl::Status status);
  // Appends block until Heal, as on a disk that hangs.
  void Hang();
  // From now on nothing fails.
  void Heal();

  // Calls of Append and Commit so far: one run without faults tells how many
  // places a test has to break.
  int64_t write_count();

  absl::StatusOr<std::string> Read(const std::string& path) override;
  absl::StatusOr<std::unique_ptr<io::FileWriter>> Create(
      const std::string& path) override;
  absl::StatusOr<std::vector<std::string>> List(
      const std::string& folder) override;
  absl::StatusOr<int64_t> Size(const std::string& path) override;
  absl::StatusOr<std::string> Sha256Hex(
      const std::string& path, const std::stop_token& stop,
      const std::function<void()>& progress) override;
  absl::Status Remove(const std::string& path) override;

 private:
  friend class FaultyFileWriter;

  // What the next write of `bytes` bytes must answer; OK: pass it on.
  absl::Status NextWrite(int64_t bytes);

  io::Storage& storage_;
  Mutex mutex_;
  CondVar healed_;
  bool hangs_ ABSL_GUARDED_BY(mutex_) = false;
  int64_t write_count_ ABSL_GUARDED_BY(mutex_) = 0;
  std::optional<int64_t> fail_from_ ABSL_GUARDED_BY(mutex_);
  absl::Status write_failure_ ABSL_GUARDED_BY(mutex_);
  absl::Status read_failure_ ABSL_GUARDED_BY(mutex_);
  std::optional<int64_t> bytes_left_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace lory::testing

#endif  // LORY_TESTS_SUPPORT_FAULTY_STORAGE_H_
