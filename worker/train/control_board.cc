#include "worker/train/control_board.h"

#include <utility>

namespace lory::train {

using ::lory::internal::v1::TrainerOrder;
using ::lory::internal::v1::TrainerReport;
using ::lory::v1::Assignment;

void ControlBoard::Post(TrainerOrder order) {
  MutexLock lock(&mutex_);
  ++newest_.number;
  newest_.order = std::move(order);
  AbortIfUrgent();
  changed_.NotifyAll();
}

TrainerReport ControlBoard::AwaitReport(int64_t* seen, int64_t* parts_seen,
                                        absl::Duration limit) {
  MutexLock lock(&mutex_);
  if (status_number_ == *seen && parts_end_ == *parts_seen && !closed_) {
    changed_.WaitFor(&mutex_, limit);
  }
  TrainerReport report;
  *report.mutable_status() = status_;
  report.set_progress_counter(progress_);
  int64_t number = parts_end_ - static_cast<int64_t>(parts_.size());
  for (const lory::v1::CommitCheckpointRequest& part : parts_) {
    if (number++ >= *parts_seen) *report.add_written_parts() = part;
  }
  *parts_seen = parts_end_;
  *seen = status_number_;
  return report;
}

void ControlBoard::Close() {
  MutexLock lock(&mutex_);
  closed_ = true;
  if (abort_ != nullptr) std::exchange(abort_, nullptr)();
  changed_.NotifyAll();
}

ControlBoard::Order ControlBoard::Newest() {
  MutexLock lock(&mutex_);
  return newest_;
}

int64_t ControlBoard::newest_number() {
  MutexLock lock(&mutex_);
  return newest_.number;
}

void ControlBoard::AwaitNews(int64_t seen, absl::Duration limit) {
  MutexLock lock(&mutex_);
  ++progress_;
  while (newest_.number <= seen && !closed_) {
    if (!changed_.WaitFor(&mutex_, limit)) break;
  }
}

bool ControlBoard::closed() {
  MutexLock lock(&mutex_);
  return closed_;
}

void ControlBoard::Report(
    const std::function<void(lory::v1::TrainerStatus&)>& change) {
  MutexLock lock(&mutex_);
  change(status_);
  ++status_number_;
  ++progress_;
  changed_.NotifyAll();
}

void ControlBoard::AddWrittenPart(
    const lory::v1::CommitCheckpointRequest& part) {
  MutexLock lock(&mutex_);
  parts_.push_back(part);
  ++parts_end_;
  if (parts_.size() > kPartsKept) parts_.pop_front();
  changed_.NotifyAll();
}

void ControlBoard::Progress() {
  MutexLock lock(&mutex_);
  ++progress_;
}

void ControlBoard::SetAbort(int64_t generation, std::function<void()> abort) {
  MutexLock lock(&mutex_);
  generation_ = generation;
  abort_ = std::move(abort);
  if (closed_ && abort_ != nullptr) std::exchange(abort_, nullptr)();
  AbortIfUrgent();
}

bool ControlBoard::MustGiveUp(int64_t generation) {
  MutexLock lock(&mutex_);
  return closed_ || IsUrgentAfter(generation);
}

bool ControlBoard::IsUrgentAfter(int64_t generation) const {
  const Assignment& assignment = newest_.assignment();
  return assignment.phase() == Assignment::PREPARE && assignment.urgent() &&
         assignment.generation() > generation;
}

void ControlBoard::AbortIfUrgent() {
  if (abort_ != nullptr && IsUrgentAfter(generation_)) {
    std::exchange(abort_, nullptr)();
  }
}

}  // namespace lory::train
