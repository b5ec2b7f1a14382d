#include "worker/train/job_context.h"

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "common/config/model_shape.h"
#include "common/config/optimizer_defaults.h"
#include "common/io/storage.h"

namespace lory::train {
namespace {

using ::lory::v1::Assignment;
using ::lory::v1::JobSpec;

// Micro-batches read ahead of training.
constexpr int64_t kPrefetch = 4;
constexpr absl::Duration kCheckLook = absl::Seconds(1);

// The name that `loryctl dataset` takes.
absl::string_view DatasetId(const JobSpec& spec) {
  return absl::StripPrefix(spec.dataset(), "datasets/");
}

// The job failed then of what is not in it.
std::string Resume(absl::string_view job) {
  return absl::StrCat("`loryctl job resume ", absl::StripPrefix(job, "jobs/"),
                      "`");
}

// With what mends it: files that are not there, or not what they were. `then`
// is what to do once they are mended.
absl::Status SayWhatMends(const absl::Status& status,
                          const std::string& manifest_path, const JobSpec& spec,
                          const std::string& then) {
  const std::string folder =
      std::filesystem::path(manifest_path).parent_path().string();
  if (absl::IsNotFound(status)) {
    return absl::FailedPreconditionError(absl::StrCat(
        status.message(), "; put it back, or, if ", spec.dataset(),
        " was moved, tell where to with `loryctl dataset register ",
        DatasetId(spec), " NEW_FOLDER/manifest.json`; then ", then));
  }
  if (!absl::IsDataLoss(status)) return status;
  return absl::DataLossError(absl::StrCat(
      status.message(), "; `lory-corpus verify ", folder,
      "` looks at all files of the dataset; put the damaged one back, or make "
      "it again with `lory-corpus build SPEC --redo pack`, then ",
      then));
}

absl::Status CheckManifestHash(const Assignment& assignment) {
  if (assignment.dataset_manifest_sha256().empty()) return absl::OkStatus();
  const std::string& path = assignment.dataset_manifest_path();
  const absl::StatusOr<std::string> hash = lory::io::FileSha256Hex(path);
  const std::string resume = Resume(assignment.job());
  if (!hash.ok()) {
    return SayWhatMends(hash.status(), path, assignment.spec(), resume);
  }
  if (*hash == assignment.dataset_manifest_sha256()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      assignment.dataset_manifest_path(), " is not the manifest of ",
      assignment.spec().dataset(), " any more: its SHA-256 is ", *hash,
      ", registered was ", assignment.dataset_manifest_sha256(),
      "; put the old files back and ", resume,
      ", or register the new ones under another name and submit another job"));
}

absl::Status CheckFit(const JobSpec& spec,
                      const lory::data::DatasetManifest& data) {
  if (spec.numerics() == JobSpec::EXACT) {
    return absl::UnimplementedError(
        "spec.numerics: EXACT comes with a later release; use FAST");
  }
  if (data.vocabulary_size != spec.model().vocabulary_size()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "spec.model.vocabulary_size is ", spec.model().vocabulary_size(),
        ", but the tokenizer of ", spec.dataset(), " has ",
        data.vocabulary_size, " ids; set it to that"));
  }
  if (data.sequence_length != spec.model().sequence_length()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "spec.model.sequence_length is ", spec.model().sequence_length(),
        ", but the sequences of ", spec.dataset(), " have ",
        data.sequence_length, " tokens; set it to that"));
  }
  const bool evaluates = spec.kind() == JobSpec::EVALUATE;
  if (spec.step_count() < (evaluates ? 0 : 1) || spec.micro_batch_count() < 1 ||
      spec.micro_batch_sequences() < 1) {
    return absl::InvalidArgumentError(
        "spec: step_count, micro_batch_count and micro_batch_sequences must "
        "be at least 1");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<LineFile>> OpenLines(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(LineFile file, LineFile::Open(path));
  return std::make_unique<LineFile>(std::move(file));
}

// Opens the dataset and begins to check its hashes.
absl::Status OpenData(const Assignment& assignment,
                      const std::string& trace_name, int64_t check_first_bytes,
                      const std::function<void()>& progress,
                      JobContext& context) {
  context.manifest_path = assignment.dataset_manifest_path();
  auto dataset = lory::data::Dataset::Open(context.manifest_path,
                                           /*verify_hashes=*/false);
  if (!dataset.ok()) {
    return SayWhatMends(dataset.status(), context.manifest_path, context.spec,
                        Resume(context.job));
  }
  context.dataset = *std::move(dataset);
  const std::string path =
      absl::StrCat(context.folder, "/verified/", trace_name, ".txt");
  LORY_ASSIGN_OR_RETURN(context.verified, OpenLines(path));
  LORY_ASSIGN_OR_RETURN(const std::string known,
                        lory::io::LocalStorage().Read(path));
  const lory::data::DatasetManifest& manifest = context.dataset->manifest();
  context.check = std::make_unique<lory::data::DatasetCheck>(
      manifest,
      lory::data::DatasetCheck::Options{
          .folder = std::filesystem::path(context.manifest_path).parent_path(),
          .known = absl::StrSplit(known, '\n', absl::SkipEmpty()),
          .on_sound = [lines = context.verified.get()](
                          const std::string& line) { lines->Append(line); }});
  if (lory::data::CheckedBytes(manifest) <= check_first_bytes) {
    int64_t seen = 0;
    while (!context.check->WaitUntilDone(kCheckLook)) {
      const int64_t read = context.check->pieces_read();
      // A disk that hangs is no progress.
      if (std::exchange(seen, read) != read) progress();
    }
  }
  return CheckData(context);
}

}  // namespace

absl::Status CheckData(JobContext& job) {
  return SayWhatMends(job.check->status(), job.manifest_path, job.spec,
                      Resume(job.job));
}

absl::Status ExplainError(JobContext& job, const absl::Status& status) {
  if (ReasonOf(status) != "TOKEN_OUT_OF_RANGE") return status;
  LORY_RETURN_IF_ERROR(CheckData(job));  // an altered byte explains more
  // As long as bytes may be altered it may be this host's fault alone.
  const bool sound = job.check->WaitUntilDone(absl::ZeroDuration()) &&
                     job.check->status().ok();
  const absl::Status said =
      SayWhatMends(status, job.manifest_path, job.spec,
                   sound ? "submit the job anew" : Resume(job.job));
  return sound ? ErrorWithReason(absl::StatusCode::kDataLoss,
                                 "TOKEN_OUT_OF_RANGE", said.message())
               : said;
}

absl::StatusOr<std::unique_ptr<JobContext>> OpenJob(
    const Assignment& assignment, const std::string& trace_name,
    int64_t check_first_bytes, const std::function<void()>& progress) {
  auto context = std::make_unique<JobContext>();
  const JobSpec& spec = context->spec = assignment.spec();
  context->job = assignment.job();
  context->folder = assignment.job_folder();
  LORY_RETURN_IF_ERROR(lory::config::ValidateModelSpec(spec.model()));
  if (spec.kind() != JobSpec::EVALUATE) {
    LORY_ASSIGN_OR_RETURN(const auto optimizer,
                          lory::config::ResolveOptimizer(spec.optimizer()));
    context->nonfinite_step_limit = optimizer.nonfinite_step_limit;
  }

  LORY_RETURN_IF_ERROR(CheckManifestHash(assignment));
  LORY_RETURN_IF_ERROR(
      OpenData(assignment, trace_name, check_first_bytes, progress, *context));
  LORY_RETURN_IF_ERROR(CheckFit(spec, context->dataset->manifest()));
  context->grid = {.seed = static_cast<uint64_t>(spec.seed()),
                   .micro_batch_count = spec.micro_batch_count(),
                   .micro_batch_sequences = spec.micro_batch_sequences()};
  context->loader = std::make_unique<lory::data::BatchLoader>(
      *context->dataset, context->grid, kPrefetch);
  context->evaluator = std::make_unique<Evaluator>(*context->dataset,
                                                   Evaluator::OptionsOf(spec));

  if (spec.kind() == JobSpec::EVALUATE && !context->evaluator->has_text()) {
    return absl::FailedPreconditionError(
        absl::StrCat(spec.dataset(),
                     " has no held-out text to evaluate on; build it with "
                     "held_out.fraction above 0"));
  }

  const std::string& folder = context->folder;
  LORY_ASSIGN_OR_RETURN(
      context->trace,
      OpenLines(absl::StrCat(folder, "/trace/", trace_name, ".jsonl")));
  LORY_ASSIGN_OR_RETURN(
      context->step_metrics,
      OpenLines(absl::StrCat(folder, "/metrics/steps.jsonl")));
  LORY_ASSIGN_OR_RETURN(
      context->evaluation_metrics,
      OpenLines(absl::StrCat(folder, "/metrics/evaluations.jsonl")));
  return context;
}

bool FlushLines(JobContext& job) {
  bool all = true;
  for (LineFile* file : {job.trace.get(), job.step_metrics.get(),
                         job.evaluation_metrics.get()}) {
    all = file->Flush() && all;
  }
  return all;
}

bool IsPermanent(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kFailedPrecondition:
    case absl::StatusCode::kUnimplemented:
    case absl::StatusCode::kDataLoss:
      return true;
    default:
      return false;
  }
}

bool IsOfJob(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return reason == "DIVERGED" || reason == "TOKEN_OUT_OF_RANGE";
}

}  // namespace lory::train
