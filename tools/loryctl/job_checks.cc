#include "tools/loryctl/job_checks.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/feed_forward_shape.h"
#include "common/config/job_validation.h"
#include "lory/v1/dataset.grpc.pb.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {

bool TakesModelOfCheckpoint(const lory::v1::JobSpec& spec) {
  return !spec.has_model() &&
         (!spec.init_from().empty() || config::NeedsWeights(spec));
}

lory::v1::JobSpec WithStandIns(lory::v1::JobSpec spec) {
  if (TakesModelOfCheckpoint(spec)) return spec;
  auto& model = *spec.mutable_model();
  constexpr int kVocabulary = 32000;
  constexpr int kSegments = 16;
  if (model.vocabulary_size() == 0) model.set_vocabulary_size(kVocabulary);
  if (model.sequence_length() == 0) {
    const int64_t segment = config::SegmentLengthOf(model.feed_forward());
    model.set_sequence_length(static_cast<int32_t>(
        segment > 0 && segment < 1 << 16 ? kSegments * segment : 1024));
  }
  return spec;
}

std::vector<FieldViolation> FindFileViolations(const lory::v1::JobSpec& spec) {
  return config::FindJobViolations(WithStandIns(spec));
}

absl::Status CheckJobFile(const config::JobFile& file) {
  if (file.spec.dataset().empty()) {
    return config::LocateErrors(
        FieldErrors({{"spec.dataset",
                      "missing; write `dataset: NAME` of a registered one"}}),
        file);
  }
  return WithHint(config::LocateErrors(
                      config::ValidateJobSpec(WithStandIns(file.spec)), file),
                  "loryctl help job-file");
}

absl::Status FillFromDataset(Session& session, config::JobFile& file) {
  if (TakesModelOfCheckpoint(file.spec)) return absl::OkStatus();
  auto& model = *file.spec.mutable_model();
  if (model.vocabulary_size() != 0 && model.sequence_length() != 0) {
    return absl::OkStatus();
  }
  lory::v1::GetDatasetRequest request;
  request.set_name(file.spec.dataset());
  auto dataset =
      session.Call(&lory::v1::DatasetService::Stub::GetDataset, request);
  if (absl::IsNotFound(dataset.status())) {
    const std::string name = ShortName(file.spec.dataset());
    return WithHint(
        absl::NotFoundError(absl::StrCat(file.origins.Find("spec.dataset"),
                                         ": dataset: no dataset ", name,
                                         " is registered")),
        absl::StrCat("loryctl dataset register ", name,
                     " /path/to/manifest.json; loryctl dataset list"));
  }
  LORY_RETURN_IF_ERROR(dataset.status());
  if (model.vocabulary_size() == 0) {
    model.set_vocabulary_size(dataset->vocabulary_size());
  }
  if (model.sequence_length() == 0) {
    model.set_sequence_length(dataset->sequence_length());
  }
  return absl::OkStatus();
}

absl::Status HintAtDataset(const absl::Status& status,
                           const lory::v1::JobSpec& spec) {
  if (ReasonOf(status) != "DATASET_MISMATCH") return status;
  const auto names = [&](absl::string_view key) {
    return absl::StrContains(status.message(), absl::StrCat("model.", key));
  };
  // Weights that are there already have their vocabulary.
  if (names("vocabulary_size") && spec.init_from().empty()) {
    return WithHint(status,
                    "leave model.vocabulary_size out to take the dataset's");
  }
  if (!names("sequence_length")) return status;
  return WithHint(status,
                  "leave model.sequence_length out to take the dataset's");
}

}  // namespace lory::ctl
