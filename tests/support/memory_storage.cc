#include "tests/support/memory_storage.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"

namespace lory::testing {

class MemoryFileWriter final : public io::FileWriter {
 public:
  MemoryFileWriter(MemoryStorage& storage, std::string path)
      : storage_(storage), path_(std::move(path)) {}

  absl::Status Append(absl::string_view bytes) override {
    MutexLock lock(&storage_.mutex_);
    if (!storage_.full_.empty() && absl::StrContains(path_, storage_.full_)) {
      return absl::ResourceExhaustedError(
          absl::StrCat("no space left for ", path_));
    }
    absl::StrAppend(&bytes_, bytes);
    return absl::OkStatus();
  }

  absl::Status Commit() override {
    storage_.Run(storage_.on_write_, path_);
    MutexLock lock(&storage_.mutex_);
    storage_.files_[path_] = std::move(bytes_);
    return absl::OkStatus();
  }

 private:
  MemoryStorage& storage_;
  const std::string path_;
  std::string bytes_;
};

absl::StatusOr<std::string> MemoryStorage::Read(const std::string& path) {
  MutexLock lock(&mutex_);
  if (!read_failure_.ok() && absl::StrContains(path, unreadable_)) {
    return read_failure_;
  }
  const auto found = files_.find(path);
  if (found == files_.end()) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  }
  return found->second;
}

absl::StatusOr<std::unique_ptr<io::FileWriter>> MemoryStorage::Create(
    const std::string& path) {
  return std::make_unique<MemoryFileWriter>(*this, path);
}

absl::StatusOr<std::vector<std::string>> MemoryStorage::List(
    const std::string& folder) {
  MutexLock lock(&mutex_);
  const std::string prefix = absl::StrCat(folder, "/");
  std::set<std::string> names;
  for (auto it = files_.lower_bound(prefix);
       it != files_.end() && absl::StartsWith(it->first, prefix); ++it) {
    const std::string rest = it->first.substr(prefix.size());
    names.insert(rest.substr(0, rest.find('/')));
  }
  return std::vector<std::string>(names.begin(), names.end());
}

absl::StatusOr<int64_t> MemoryStorage::Size(const std::string& path) {
  absl::StatusOr<std::string> bytes = Read(path);
  if (!bytes.ok()) return bytes.status();
  return static_cast<int64_t>(bytes->size());
}

absl::StatusOr<std::string> MemoryStorage::Sha256Hex(
    const std::string& path, const std::stop_token& stop,
    const std::function<void()>& progress) {
  absl::StatusOr<std::string> bytes = Read(path);
  if (!bytes.ok()) return bytes.status();
  if (progress != nullptr) progress();
  return lory::Sha256Hex(*bytes);
}

absl::Status MemoryStorage::Remove(const std::string& path) {
  Run(on_remove_, path);
  MutexLock lock(&mutex_);
  files_.erase(path);
  const std::string prefix = absl::StrCat(path, "/");
  auto it = files_.lower_bound(prefix);
  while (it != files_.end() && absl::StartsWith(it->first, prefix)) {
    it = files_.erase(it);
  }
  return absl::OkStatus();
}

void MemoryStorage::FailReadsOf(std::string piece, absl::Status status) {
  MutexLock lock(&mutex_);
  unreadable_ = std::move(piece);
  read_failure_ = std::move(status);
}

void MemoryStorage::FillDiskFor(std::string piece) {
  MutexLock lock(&mutex_);
  full_ = std::move(piece);
}

void MemoryStorage::OnNextWrite(std::string piece, std::function<void()> act) {
  MutexLock lock(&mutex_);
  on_write_ = {std::move(piece), std::move(act)};
}

void MemoryStorage::OnNextRemove(std::string piece, std::function<void()> act) {
  MutexLock lock(&mutex_);
  on_remove_ = {std::move(piece), std::move(act)};
}

void MemoryStorage::Run(Hook& hook, const std::string& path) {
  std::function<void()> act;
  {
    MutexLock lock(&mutex_);
    if (!absl::StrContains(path, hook.piece)) return;
    act = std::exchange(hook.act, nullptr);
  }
  if (act) act();
}

size_t MemoryStorage::file_count() {
  MutexLock lock(&mutex_);
  return files_.size();
}

}  // namespace lory::testing
