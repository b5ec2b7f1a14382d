#ifndef LORY_COMMON_CONFIG_FEED_FORWARD_SHAPE_H_
#define LORY_COMMON_CONFIG_FEED_FORWARD_SHAPE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "common/config/model_shape.h"
#include "lory/v1/model.pb.h"

// What each variant of the feed-forward makes of its options. A variant is one
// function in the .cc file and one line in its table.
namespace lory::config {

// Fills in all that `shape` says about its feed-forwards, from `spec` and the
// other sizes of `shape`, which must be there. `path`: of the field
// feed_forward.
//
// INVALID_ARGUMENT: no variant is set, or an option is out of range.
absl::Status ResolveFeedForward(const lory::v1::FeedForwardSpec& spec,
                                absl::string_view path, ModelShape& shape);

// Tokens that the variant of `spec` routes together; 0: none says so. Of a
// spec that need not be valid.
int64_t SegmentLengthOf(const lory::v1::FeedForwardSpec& spec);

// The variant of a model's feed-forward as a job file names it: "token_choice".
const std::string& VariantName(const ModelShape& shape);

// Makes `spec` one of a model that never is in its dense phase, or no longer.
void RemoveDensePhase(lory::v1::FeedForwardSpec& spec);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_FEED_FORWARD_SHAPE_H_
