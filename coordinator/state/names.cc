#include "coordinator/state/names.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/error_detail.h"

namespace lory::coordinator {
namespace {

constexpr size_t kMaxIdBytes = 63;

}  // namespace

absl::string_view IdOf(absl::string_view name) {
  const size_t slash = name.rfind('/');
  return slash == absl::string_view::npos ? name : name.substr(slash + 1);
}

absl::Status CheckId(absl::string_view id, absl::string_view field) {
  const bool good =
      !id.empty() && id.size() <= kMaxIdBytes && absl::ascii_islower(id[0]) &&
      std::all_of(id.begin(), id.end(), [](unsigned char c) {
        return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
      });
  if (good) return absl::OkStatus();
  return FieldErrors(
      {{std::string(field),
        absl::StrCat("'", id.substr(0, kMaxIdBytes),
                     "' is no id: lower-case letters, digits and hyphens, at "
                     "most 63, beginning with a letter")}});
}

absl::Status CheckWorkerId(absl::string_view id, absl::string_view field) {
  const auto alphanumeric = [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c);
  };
  const bool good = !id.empty() && id.size() <= kMaxIdBytes &&
                    alphanumeric(id[0]) &&
                    std::all_of(id.begin(), id.end(), [&](unsigned char c) {
                      return alphanumeric(c) || c == '-' || c == '.';
                    });
  if (good) return absl::OkStatus();
  return FieldErrors(
      {{std::string(field),
        absl::StrCat("'", id.substr(0, kMaxIdBytes),
                     "' is no worker id: lower-case letters, digits, hyphens "
                     "and dots, at most 63, not beginning with a sign")}});
}

std::optional<CheckpointName> ParseCheckpointName(absl::string_view name) {
  const std::vector<absl::string_view> parts = absl::StrSplit(name, '/');
  int64_t step = 0;
  if (parts.size() != 4 || parts[0] != "jobs" || parts[2] != "checkpoints" ||
      !absl::SimpleAtoi(parts[3], &step) || step < 0) {
    return std::nullopt;
  }
  return CheckpointName{absl::StrCat(kJobs, parts[1]), step};
}

std::string CheckpointNameOf(absl::string_view job, int64_t step) {
  return absl::StrCat(job, "/checkpoints/", step);
}

std::string CheckpointFolder(int64_t step, int64_t generation) {
  return absl::StrCat("step-", step, ".gen-", generation);
}

std::string PartFile(int32_t index, int32_t count) {
  return absl::StrCat("part-", index, "-of-", count, ".safetensors");
}

absl::Time TimeOf(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) +
         absl::Nanoseconds(timestamp.nanos());
}

google::protobuf::Timestamp TimestampOf(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(static_cast<int32_t>(
      absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

std::string ShortDuration(absl::Duration duration) {
  if (duration < absl::Seconds(10)) {
    return absl::FormatDuration(absl::Trunc(duration, absl::Milliseconds(10)));
  }
  const absl::Duration unit =
      duration < absl::Hours(1) ? absl::Seconds(1) : absl::Minutes(1);
  std::string text = absl::FormatDuration(absl::Trunc(duration, unit));
  return text;
}

}  // namespace lory::coordinator
