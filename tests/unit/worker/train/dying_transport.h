#ifndef LORY_TESTS_UNIT_WORKER_TRAIN_DYING_TRANSPORT_H_
#define LORY_TESTS_UNIT_WORKER_TRAIN_DYING_TRANSPORT_H_

#include <functional>
#include <latch>
#include <memory>
#include <utility>

#include "worker/collective/communicator.h"
#include "worker/collective/ring_transport.h"

namespace lory::train {

// A transport whose ranks come to grief in the exchange of a chosen step.
class DyingTransport final : public lory::collective::Transport {
 public:
  explicit DyingTransport(lory::collective::Transport& inner) : inner_(inner) {}

  // In the exchange of `step` the connections break, as those of a process that
  // is killed do, and `killed` is called.
  void DieInStep(int64_t step, std::function<void()> killed) {
    step_ = step;
    killed_ = std::move(killed);
  }
  // In the exchange of `step` nothing happens until Release.
  void HangInStep(int64_t step) { step_ = step; }
  void Release() { released_.count_down(); }

  absl::StatusOr<std::unique_ptr<lory::collective::Listener>> Listen()
      override {
    auto inner = inner_.Listen();
    if (!inner.ok()) return inner.status();
    return std::make_unique<DyingListener>(*this, *std::move(inner));
  }

 private:
  using Communicator = lory::collective::Communicator;

  class DyingCommunicator final : public Communicator {
   public:
    DyingCommunicator(DyingTransport& owner,
                      std::unique_ptr<Communicator> inner)
        : owner_(owner), inner_(std::move(inner)) {}

    int rank() const override { return 1; }
    int world_size() const override { return 2; }
    absl::Status AllReduceSum(
        std::span<const std::span<float>> pieces) override {
      // The exchange of a step has a gradient in it.
      if (pieces.size() > 1 && steps_++ == owner_.step_) {
        if (owner_.killed_ == nullptr) {
          owner_.released_.wait();
          return absl::AbortedError("hung");
        }
        inner_.reset();
        owner_.killed_();
        return absl::AbortedError("killed");
      }
      return inner_->AllReduceSum(pieces);
    }
    absl::Status Broadcast(std::span<std::byte> bytes, int root) override {
      return inner_->Broadcast(bytes, root);
    }
    absl::StatusOr<std::vector<std::string>> AllGather(
        absl::string_view bytes) override {
      return inner_->AllGather(bytes);
    }
    absl::Status Barrier() override { return inner_->Barrier(); }
    void Abort() override { inner_->Abort(); }
    int failed_rank() const override { return -1; }

   private:
    DyingTransport& owner_;
    std::unique_ptr<Communicator> inner_;
    int64_t steps_ = 0;
  };

  class DyingListener final : public lory::collective::Listener {
   public:
    DyingListener(DyingTransport& owner,
                  std::unique_ptr<lory::collective::Listener> inner)
        : owner_(owner), inner_(std::move(inner)) {}

    const std::string& endpoint() const override { return inner_->endpoint(); }
    absl::StatusOr<std::unique_ptr<Communicator>> Connect(
        const lory::collective::Membership& membership) override {
      auto inner = inner_->Connect(membership);
      if (!inner.ok()) return inner.status();
      return std::make_unique<DyingCommunicator>(owner_, *std::move(inner));
    }
    void Abort() override { inner_->Abort(); }
    int failed_rank() const override { return inner_->failed_rank(); }

   private:
    DyingTransport& owner_;
    std::unique_ptr<lory::collective::Listener> inner_;
  };

  lory::collective::Transport& inner_;
  int64_t step_ = -1;
  std::function<void()> killed_;
  std::latch released_{1};
};

}  // namespace lory::train

#endif  // LORY_TESTS_UNIT_WORKER_TRAIN_DYING_TRANSPORT_H_
