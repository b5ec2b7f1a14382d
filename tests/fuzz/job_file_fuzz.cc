// job.yaml: what was read writes again, and reads as the same.
#include <google/protobuf/util/message_differencer.h>

#include "absl/strings/match.h"
#include "common/config/job_file.h"
#include "tests/fuzz/fuzz.h"

namespace lory::config {

LORY_FUZZ(input) {
  const auto [text, override_text] = fuzz::CutInTwo(input);
  std::vector<std::string> overrides;
  if (!override_text.empty()) overrides.emplace_back(override_text);
  const auto file = ParseJobFile(text, "job.yaml", overrides);
  fuzz::CheckError(file.status(), {absl::StatusCode::kInvalidArgument});
  if (!file.ok()) return;
  const std::string written = JobFileText(file->name, file->spec);
  const auto again = ParseJobFile(written, "written.yaml");
  if (!again.ok()) {
    std::fprintf(stderr, "%s\n%s\n", written.c_str(),
                 again.status().ToString().c_str());
  }
  LORY_CHECK(again.ok());
  LORY_CHECK(again->name == file->name);
  LORY_CHECK(google::protobuf::util::MessageDifferencer::Equals(again->spec,
                                                                file->spec));
}

}  // namespace lory::config
