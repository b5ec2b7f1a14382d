#ifndef LORY_COORDINATOR_STATE_NAMES_H_
#define LORY_COORDINATOR_STATE_NAMES_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/timestamp.pb.h"

// Names of resources, and times as protos carry them.
namespace lory::coordinator {

inline constexpr absl::string_view kJobs = "jobs/";
inline constexpr absl::string_view kWorkers = "workers/";
inline constexpr absl::string_view kDatasets = "datasets/";

// "tiny" of "jobs/tiny"; the name itself when it has no such prefix.
absl::string_view IdOf(absl::string_view name);

// Lower-case letters, digits and hyphens, at most 63, beginning with a letter.
//
// INVALID_ARGUMENT names `field`.
absl::Status CheckId(absl::string_view id, absl::string_view field);

// Ids of workers may have dots and begin with a digit, as host names do.
absl::Status CheckWorkerId(absl::string_view id, absl::string_view field);

// jobs/{job}/checkpoints/{step}, taken apart.
struct CheckpointName {
  std::string job;
  int64_t step = 0;
};
std::optional<CheckpointName> ParseCheckpointName(absl::string_view name);
std::string CheckpointNameOf(absl::string_view job, int64_t step);

// Base name of a checkpoint's folder: step-N.gen-G.
std::string CheckpointFolder(int64_t step, int64_t generation);
// Base name of a part: part-i-of-n.safetensors.
std::string PartFile(int32_t index, int32_t count);

absl::Time TimeOf(const google::protobuf::Timestamp& timestamp);
google::protobuf::Timestamp TimestampOf(absl::Time time);

// "1 slot", "2 slots".
template <typename Count>
std::string Counted(Count count, absl::string_view noun) {
  return absl::StrCat(count, " ", noun, count == 1 ? "" : "s");
}
// "1 slot is", "2 slots are".
template <typename Count>
std::string CountedAre(Count count, absl::string_view noun) {
  return absl::StrCat(Counted(count, noun), count == 1 ? " is" : " are");
}

// "1.3s", "2m5s": for people, two units at most.
std::string ShortDuration(absl::Duration duration);

}  // namespace lory::coordinator

#endif  // LORY_COORDINATOR_STATE_NAMES_H_
