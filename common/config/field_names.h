#ifndef LORY_COMMON_CONFIG_FIELD_NAMES_H_
#define LORY_COMMON_CONFIG_FIELD_NAMES_H_

#include <google/protobuf/descriptor.h>

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

// What fields of a JobSpec are called in job.yaml, and what a zero means there.
namespace lory::config {

// The key of `field`: its proto name, or a shorter word for the few that
// everybody writes (steps, micro_batches, learning_rate).
std::string KeyOf(const google::protobuf::FieldDescriptor& field);

// A field's path as the person who writes job.yaml knows it:
// spec.optimizer.peak_learning_rate is optimizer.learning_rate, and job_id is
// name. What is no path into a JobSpec stays as it is.
std::string KeyPathOf(absl::string_view field_path);

// The field that `key` names, by key or proto name; null: none.
const google::protobuf::FieldDescriptor* FieldOf(
    const google::protobuf::Descriptor& message, absl::string_view key);

// What an explicit 0 means to the person who wrote it. The proto cannot tell
// 0 from absent, so a 0 that stands for a default there must not be taken
// over silently.
enum class ZeroMeaning {
  kZero,  // itself
  kNone,  // switch it off; -1 in the proto. `none` says the same
  kTaken  // stands for the default; refused
};
ZeroMeaning ZeroMeaningOf(const google::protobuf::FieldDescriptor& field);

// Every key that may stand in `message`, those that are no fields (name,
// model.preset) included.
std::vector<std::string> KeysOf(const google::protobuf::Descriptor& message);

// The key that `wrong` was probably meant to be: a key of `message`, or the
// path to one beneath it ("feed_forward.lory.segment_length"). Empty: none is
// near enough.
std::string SuggestKey(const google::protobuf::Descriptor& message,
                       absl::string_view wrong);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_FIELD_NAMES_H_
