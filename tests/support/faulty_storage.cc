#include "tests/support/faulty_storage.h"

#include <utility>

#include "common/base/status_macros.h"

namespace lory::testing {

class FaultyFileWriter final : public io::FileWriter {
 public:
  FaultyFileWriter(FaultyStorage& storage,
                   std::unique_ptr<io::FileWriter> writer)
      : storage_(storage), writer_(std::move(writer)) {}

  absl::Status Append(absl::string_view bytes) override {
    LORY_RETURN_IF_ERROR(
        storage_.NextWrite(static_cast<int64_t>(bytes.size())));
    return writer_->Append(bytes);
  }
  absl::Status Commit() override {
    LORY_RETURN_IF_ERROR(storage_.NextWrite(0));
    return writer_->Commit();
  }

 private:
  FaultyStorage& storage_;
  const std::unique_ptr<io::FileWriter> writer_;
};

void FaultyStorage::FailWrite(int64_t nth, absl::Status status) {
  MutexLock lock(&mutex_);
  fail_from_ = write_count_ + nth;
  write_failure_ = std::move(status);
}

void FaultyStorage::LimitBytes(int64_t bytes) {
  MutexLock lock(&mutex_);
  bytes_left_ = bytes;
}

void FaultyStorage::FailReads(absl::Status status) {
  MutexLock lock(&mutex_);
  read_failure_ = std::move(status);
}

void FaultyStorage::Hang() {
  MutexLock lock(&mutex_);
  hangs_ = true;
}

void FaultyStorage::Heal() {
  MutexLock lock(&mutex_);
  hangs_ = false;
  healed_.NotifyAll();
  fail_from_.reset();
  bytes_left_.reset();
  read_failure_ = absl::OkStatus();
}

int64_t FaultyStorage::write_count() {
  MutexLock lock(&mutex_);
  return write_count_;
}

absl::Status FaultyStorage::NextWrite(int64_t bytes) {
  MutexLock lock(&mutex_);
  ++write_count_;
  while (hangs_) healed_.Wait(&mutex_);
  if (fail_from_ && write_count_ >= *fail_from_) return write_failure_;
  if (bytes_left_) {
    *bytes_left_ -= bytes;
    if (*bytes_left_ < 0) {
      return absl::ResourceExhaustedError("No space left on device");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FaultyStorage::Read(const std::string& path) {
  {
    MutexLock lock(&mutex_);
    LORY_RETURN_IF_ERROR(read_failure_);
  }
  return storage_.Read(path);
}

absl::StatusOr<std::unique_ptr<io::FileWriter>> FaultyStorage::Create(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::FileWriter> writer,
                        storage_.Create(path));
  return std::make_unique<FaultyFileWriter>(*this, std::move(writer));
}

absl::StatusOr<std::vector<std::string>> FaultyStorage::List(
    const std::string& folder) {
  return storage_.List(folder);
}

absl::StatusOr<int64_t> FaultyStorage::Size(const std::string& path) {
  return storage_.Size(path);
}

absl::StatusOr<std::string> FaultyStorage::Sha256Hex(
    const std::string& path, const std::stop_token& stop,
    const std::function<void()>& progress) {
  {
    MutexLock lock(&mutex_);
    LORY_RETURN_IF_ERROR(read_failure_);
  }
  return storage_.Sha256Hex(path, stop, progress);
}

absl::Status FaultyStorage::Remove(const std::string& path) {
  return storage_.Remove(path);
}

}  // namespace lory::testing
