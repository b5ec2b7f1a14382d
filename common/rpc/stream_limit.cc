#include "common/rpc/stream_limit.h"

#include "absl/strings/str_cat.h"
#include "common/base/error_detail.h"

namespace lory::rpc {

absl::StatusOr<std::unique_ptr<StreamLimit::Place>> StreamLimit::Take() {
  auto place = std::make_unique<Place>(open_);
  if (++open_ <= most_) return place;
  return ErrorWithReason(
      absl::StatusCode::kResourceExhausted, "TOO_MANY_STREAMS",
      absl::StrCat(most_,
                   " watches and log streams are open already; end "
                   "one, or ask now and then instead"));
}

}  // namespace lory::rpc
