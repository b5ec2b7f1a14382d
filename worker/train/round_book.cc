#include "worker/train/round_book.h"

#include <numeric>

#include "absl/strings/str_cat.h"

namespace lory::train {

void RoundBook::Hold(const lory::v1::Round& round) {
  if (round.id() > last_id_) held_.emplace(round.id(), round);
}

int64_t RoundBook::newest_held() const {
  if (last_id_ == 0) return held_.empty() ? 0 : held_.rbegin()->first;
  int64_t newest = last_id_;
  while (held_.contains(newest + 1)) ++newest;
  return newest;
}

absl::Status RoundBook::Advance(int64_t step, int64_t common_round,
                                bool* began) {
  *began = false;
  if (current_ != nullptr) {
    if (step < current_->first_step() + current_->step_count()) {
      return absl::OkStatus();
    }
    held_.erase(last_id_);
    current_ = nullptr;
  }
  if (common_round <= last_id_) return absl::OkStatus();
  const int64_t id = last_id_ == 0 ? common_round : last_id_ + 1;
  const auto found = held_.find(id);
  if (found == held_.end()) {
    return absl::InternalError(
        absl::StrCat("round ", id, " never came, a later one did"));
  }
  const lory::v1::Round& round = found->second;
  const int64_t shares =
      std::accumulate(round.shares().begin(), round.shares().end(), int64_t{0});
  if (round.first_step() != step || round.step_count() < 1 ||
      round.shares_size() != world_size_ || shares != micro_batch_count_) {
    return absl::InternalError(absl::StrCat(
        "round {", round.ShortDebugString(), "} does not fit step ", step, ", ",
        world_size_, " ranks and ", micro_batch_count_, " micro-batches"));
  }
  held_.erase(held_.begin(), found);
  current_ = &round;
  last_id_ = id;
  *began = true;
  return absl::OkStatus();
}

}  // namespace lory::train
