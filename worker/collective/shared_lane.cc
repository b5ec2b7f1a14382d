#include "worker/collective/shared_lane.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include "absl/memory/memory.h"
#include "absl/strings/str_cat.h"
#include "common/base/random.h"

namespace lory::collective {

SharedLane::SharedLane(FileDescriptor file, Shared* shared)
    : file_(std::move(file)), shared_(shared) {}

SharedLane::~SharedLane() { munmap(shared_, sizeof(Shared)); }

SharedLane::Shared* SharedLane::Map(const FileDescriptor& file) {
  void* const memory = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                            MAP_SHARED, file.get(), 0);
  return memory == MAP_FAILED ? nullptr : static_cast<Shared*>(memory);
}

std::unique_ptr<SharedLane> SharedLane::Create() {
  FileDescriptor file(memfd_create("lory-lane", MFD_CLOEXEC));
  if (!file.valid() || ftruncate(file.get(), sizeof(Shared)) != 0) {
    return nullptr;
  }
  Shared* const shared = Map(file);
  if (shared == nullptr) return nullptr;
  new (shared) Shared;  // new memory of the system is zero
  const int descriptor = file.get();
  auto lane = absl::WrapUnique(new SharedLane(std::move(file), shared));
  const std::string nonce = SecureRandomHex(8);
  std::memcpy(shared->nonce.data(), nonce.data(), shared->nonce.size());
  lane->address_ = {
      .process_id = getpid(), .descriptor = descriptor, .nonce = shared->nonce};
  return lane;
}

std::unique_ptr<SharedLane> SharedLane::Open(const LaneAddress& address) {
  if (address.process_id <= 0) return nullptr;
  FileDescriptor file(open(
      absl::StrCat("/proc/", address.process_id, "/fd/", address.descriptor)
          .c_str(),
      O_RDWR | O_CLOEXEC));
  struct stat status = {};
  if (!file.valid() || fstat(file.get(), &status) != 0 ||
      status.st_size != sizeof(Shared)) {
    return nullptr;
  }
  Shared* const shared = Map(file);
  if (shared == nullptr) return nullptr;
  auto lane = absl::WrapUnique(new SharedLane(std::move(file), shared));
  // Another host's process may have the same number.
  if (shared->nonce != address.nonce) return nullptr;
  lane->address_ = address;
  return lane;
}

size_t SharedLane::Write(std::span<const std::byte> bytes) {
  const uint64_t written = shared_->written.load(std::memory_order_relaxed);
  const uint64_t read = shared_->read.load(std::memory_order_acquire);
  // The other side's counter is not trusted to be sane.
  const uint64_t held = std::min(kBytes, written - read);
  const size_t count = std::min<size_t>(bytes.size(), kBytes - held);
  const size_t place = written % kBytes;
  const size_t first = std::min<size_t>(count, kBytes - place);
  std::memcpy(shared_->bytes + place, bytes.data(), first);
  std::memcpy(shared_->bytes, bytes.data() + first, count - first);
  shared_->written.store(written + count, std::memory_order_seq_cst);
  return count;
}

size_t SharedLane::Read(std::span<std::byte> bytes) {
  const uint64_t read = shared_->read.load(std::memory_order_relaxed);
  const uint64_t written = shared_->written.load(std::memory_order_acquire);
  const uint64_t held = std::min(kBytes, written - read);
  const size_t count = std::min<size_t>(bytes.size(), held);
  const size_t place = read % kBytes;
  const size_t first = std::min<size_t>(count, kBytes - place);
  std::memcpy(bytes.data(), shared_->bytes + place, first);
  std::memcpy(bytes.data() + first, shared_->bytes, count - first);
  shared_->read.store(read + count, std::memory_order_seq_cst);
  return count;
}

bool SharedLane::HasBytes() const {
  return shared_->written.load(std::memory_order_seq_cst) !=
         shared_->read.load(std::memory_order_relaxed);
}

bool SharedLane::HasRoom() const {
  return shared_->written.load(std::memory_order_relaxed) -
             shared_->read.load(std::memory_order_seq_cst) <
         kBytes;
}

// Flag first, then look: the other side changes its counter first and then
// looks at the flag, so one of the two sees the other.
bool SharedLane::WriterMustNotSleep() {
  shared_->writer_sleeps.store(1, std::memory_order_seq_cst);
  return HasRoom();
}

bool SharedLane::ReaderMustNotSleep() {
  shared_->reader_sleeps.store(1, std::memory_order_seq_cst);
  return HasBytes();
}

bool SharedLane::TakeReaderSleeps() {
  return shared_->reader_sleeps.load(std::memory_order_seq_cst) != 0 &&
         shared_->reader_sleeps.exchange(0, std::memory_order_seq_cst) != 0;
}

bool SharedLane::TakeWriterSleeps() {
  return shared_->writer_sleeps.load(std::memory_order_seq_cst) != 0 &&
         shared_->writer_sleeps.exchange(0, std::memory_order_seq_cst) != 0;
}

}  // namespace lory::collective
