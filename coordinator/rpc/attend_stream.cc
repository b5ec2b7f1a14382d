#include "coordinator/rpc/attend_stream.h"

#include <utility>

namespace lory::coordinator {

AttendStream* AttendStream::Start(Coordinator& coordinator,
                                  CallObserver* observer) {
  auto stream =
      std::shared_ptr<AttendStream>(new AttendStream(coordinator, observer));
  stream->self_ = stream;
  stream->StartRead(&stream->incoming_);
  return stream.get();
}

void AttendStream::Send(lory::v1::AttendResponse response) {
  MutexLock lock(&mutex_);
  if (finished_ || closing_) return;
  if (!queue_.empty() && response.has_desired() &&
      !queue_.back().has_session()) {
    queue_.back() = std::move(response);
  } else {
    queue_.push_back(std::move(response));
  }
  WriteNext();
}

void AttendStream::Close(absl::Status status) {
  MutexLock lock(&mutex_);
  if (finished_ || closing_) return;
  queue_.clear();
  closing_ = std::move(status);
  WriteNext();
}

void AttendStream::WriteNext() {
  if (writing_ || finished_) return;
  if (closing_) {
    FinishOnce(*closing_);
    return;
  }
  if (queue_.empty()) return;
  outgoing_ = std::move(queue_.front());
  queue_.pop_front();
  writing_ = true;
  StartWrite(&outgoing_);
}

void AttendStream::FinishOnce(const absl::Status& status) {
  if (finished_) return;
  finished_ = true;
  grpc::ServerBidiReactor<lory::v1::AttendRequest, lory::v1::AttendResponse>::
      Finish(coordinator::Finish(observer_, "Attend", status));
}

void AttendStream::OnReadDone(bool ok) {
  if (!ok) {
    Break("the daemon closed it");
    return;
  }
  int64_t stream = 0;
  {
    MutexLock lock(&mutex_);
    if (finished_) return;
    stream = stream_;
  }
  if (stream == 0) {
    Attach();
    return;
  }
  coordinator_.Receive(stream, incoming_);
  MutexLock lock(&mutex_);
  if (!finished_) StartRead(&incoming_);
}

void AttendStream::Attach() {
  const absl::StatusOr<int64_t> attached =
      coordinator_.Attach(incoming_, self_);
  bool broke_meanwhile = false;
  {
    MutexLock lock(&mutex_);
    broke_meanwhile = finished_;
    if (!attached.ok()) {
      FinishOnce(attached.status());
    } else if (!finished_) {
      stream_ = *attached;
      StartRead(&incoming_);
    }
  }
  if (attached.ok() && broke_meanwhile) {
    coordinator_.Detach(*attached, "the connection is gone");
  }
}

void AttendStream::OnWriteDone(bool ok) {
  if (!ok) {
    Break("it cannot be written to");
    return;
  }
  MutexLock lock(&mutex_);
  writing_ = false;
  WriteNext();
}

void AttendStream::OnCancel() { Break("the connection is gone"); }

void AttendStream::Break(absl::string_view reason) {
  int64_t stream = 0;
  {
    MutexLock lock(&mutex_);
    stream = std::exchange(stream_, -1);
    FinishOnce(absl::CancelledError(reason));
  }
  if (stream > 0) coordinator_.Detach(stream, reason);
}

void AttendStream::OnDone() {
  // The last thing gRPC does with it; the coordinator may still hold it.
  const std::shared_ptr<AttendStream> self = std::move(self_);
}

}  // namespace lory::coordinator
