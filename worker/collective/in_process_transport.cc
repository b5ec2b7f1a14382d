#include "worker/collective/in_process_transport.h"

#include <cstring>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"

namespace lory::collective {
namespace {

// The ranks of one generation. Thread-safe.
class Group {
 public:
  explicit Group(int world) : here_(world, true) {}

  // Everyone's bytes for call `sequence`.
  absl::StatusOr<std::vector<std::string>> Gather(int rank, int64_t sequence,
                                                  absl::string_view bytes,
                                                  absl::Duration timeout,
                                                  const bool& aborted,
                                                  int* failed_rank);

  void Leave(int rank) {
    MutexLock lock(&mutex_);
    here_[rank] = false;
    changed_.NotifyAll();
  }

  // Sets a rank's flag and wakes it.
  void Abort(bool* aborted) {
    MutexLock lock(&mutex_);
    *aborted = true;
    changed_.NotifyAll();
  }

 private:
  struct Call {
    std::map<int, std::string> bytes;
    size_t taken = 0;
  };

  Mutex mutex_;
  CondVar changed_;
  std::vector<bool> here_ ABSL_GUARDED_BY(mutex_);
  std::map<int64_t, Call> calls_ ABSL_GUARDED_BY(mutex_);
};

absl::StatusOr<std::vector<std::string>> Group::Gather(
    int rank, int64_t sequence, absl::string_view bytes, absl::Duration timeout,
    const bool& aborted, int* failed_rank) {
  MutexLock lock(&mutex_);
  Call& call = calls_[sequence];
  call.bytes[rank] = std::string(bytes);
  changed_.NotifyAll();
  while (call.bytes.size() < here_.size()) {
    if (aborted) return absl::AbortedError("the collective was aborted");
    for (size_t i = 0; i < here_.size(); ++i) {
      if (here_[i] || call.bytes.contains(static_cast<int>(i))) continue;
      *failed_rank = static_cast<int>(i);
      return absl::UnavailableError(absl::StrCat("rank ", i, " is gone"));
    }
    if (!changed_.WaitFor(&mutex_, timeout)) {
      return absl::DeadlineExceededError(
          absl::StrCat("nothing moved for ", absl::FormatDuration(timeout)));
    }
  }
  std::vector<std::string> all;
  for (const auto& [unused, one] : call.bytes) all.push_back(one);
  if (++call.taken == here_.size()) calls_.erase(sequence);
  return all;
}

class InProcessCommunicator final : public Communicator {
 public:
  InProcessCommunicator(std::shared_ptr<Group> group,
                        const Membership& membership, bool* aborted)
      : group_(std::move(group)), membership_(membership), aborted_(aborted) {}
  ~InProcessCommunicator() override { group_->Leave(membership_.rank); }

  // Waits for all to come.
  absl::Status Meet() {
    limit_ = membership_.connect_limit;
    const absl::Status met = Barrier();
    limit_ = membership_.timeout;
    return met;
  }

  int rank() const override { return membership_.rank; }
  int world_size() const override { return membership_.world_size; }

  absl::Status AllReduceSum(std::span<const std::span<float>> pieces) override {
    std::string mine;
    for (const std::span<float> piece : pieces) {
      mine.append(reinterpret_cast<const char*>(piece.data()),
                  piece.size_bytes());
    }
    LORY_ASSIGN_OR_RETURN(const auto all, AllGather(mine));
    size_t offset = 0;
    for (const std::span<float> piece : pieces) {
      for (float& sum : piece) {
        sum = 0;
        for (const std::string& bytes : all) {
          if (bytes.size() != mine.size()) return Differs();
          float number;
          std::memcpy(&number, bytes.data() + offset, sizeof(number));
          sum += number;
        }
        offset += sizeof(float);
      }
    }
    return absl::OkStatus();
  }

  absl::Status Broadcast(std::span<std::byte> bytes, int root) override {
    LORY_ASSIGN_OR_RETURN(
        const auto all,
        AllGather({reinterpret_cast<const char*>(bytes.data()), bytes.size()}));
    if (all[root].size() != bytes.size()) return Differs();
    std::memcpy(bytes.data(), all[root].data(), bytes.size());
    return absl::OkStatus();
  }

  absl::StatusOr<std::vector<std::string>> AllGather(
      absl::string_view bytes) override {
    return group_->Gather(membership_.rank, next_sequence_++, bytes, limit_,
                          *aborted_, &failed_rank_);
  }

  absl::Status Barrier() override { return AllGather("").status(); }
  void Abort() override { group_->Abort(aborted_); }
  int failed_rank() const override { return failed_rank_; }

 private:
  static absl::Status Differs() {
    return absl::InternalError("ranks make calls of different sizes");
  }

  const std::shared_ptr<Group> group_;
  const Membership membership_;
  bool* const aborted_;  // guarded by the group
  absl::Duration limit_;
  int64_t next_sequence_ = 0;
  int failed_rank_ = -1;
};

}  // namespace

// Finds the group of a membership; all of one job, generation and token are
// in one.
class InProcessTransport::Exchange {
 public:
  std::shared_ptr<Group> Find(const Membership& membership) {
    MutexLock lock(&mutex_);
    // Endpoints are never used twice, so neither is a group.
    std::shared_ptr<Group>& group = groups_[absl::StrCat(
        membership.job, "/", membership.generation, "/", membership.token, "/",
        absl::StrJoin(membership.endpoints, ","))];
    if (group == nullptr) {
      group = std::make_shared<Group>(membership.world_size);
    }
    return group;
  }

  int NextNumber() {
    MutexLock lock(&mutex_);
    return ++last_number_;
  }

 private:
  Mutex mutex_;
  std::map<std::string, std::shared_ptr<Group>> groups_ ABSL_GUARDED_BY(mutex_);
  int last_number_ ABSL_GUARDED_BY(mutex_) = 0;
};

namespace {

class InProcessListener final : public Listener {
 public:
  explicit InProcessListener(
      std::shared_ptr<InProcessTransport::Exchange> exchange)
      : exchange_(std::move(exchange)),
        endpoint_(absl::StrCat("in-process:", exchange_->NextNumber())) {}

  const std::string& endpoint() const override { return endpoint_; }

  absl::StatusOr<std::unique_ptr<Communicator>> Connect(
      const Membership& membership) override {
    std::shared_ptr<Group> group;
    {
      MutexLock lock(&mutex_);
      group = group_ = exchange_->Find(membership);
    }
    auto communicator =
        std::make_unique<InProcessCommunicator>(group, membership, &aborted_);
    if (const absl::Status met = communicator->Meet(); !met.ok()) {
      failed_rank_ = communicator->failed_rank();
      return met;
    }
    return communicator;
  }

  void Abort() override {
    MutexLock lock(&mutex_);
    if (group_ == nullptr) {
      aborted_ = true;  // nobody else can see it yet
    } else {
      group_->Abort(&aborted_);
    }
  }

  int failed_rank() const override { return failed_rank_; }

 private:
  const std::shared_ptr<InProcessTransport::Exchange> exchange_;
  const std::string endpoint_;
  Mutex mutex_;
  std::shared_ptr<Group> group_ ABSL_GUARDED_BY(mutex_);
  bool aborted_ = false;  // guarded by the group once there is one
  int failed_rank_ = -1;
};

}  // namespace

InProcessTransport::InProcessTransport()
    : exchange_(std::make_shared<Exchange>()) {}

InProcessTransport::~InProcessTransport() = default;

absl::StatusOr<std::unique_ptr<Listener>> InProcessTransport::Listen() {
  return std::make_unique<InProcessListener>(exchange_);
}

}  // namespace lory::collective
