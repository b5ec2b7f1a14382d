#include "tools/model/checkpoint_folder.h"

#include <ATen/core/Tensor.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/config/feed_forward_shape.h"
#include "common/config/model_shape.h"
#include "common/data/sample_digest.h"
#include "common/io/absolute_path.h"
#include "common/io/storage.h"
#include "tools/model/output_folder.h"
#include "worker/checkpoint/checkpoint_reader.h"
#include "worker/checkpoint/checkpoint_writer.h"
#include "worker/checkpoint/committed_folder.h"
#include "worker/checkpoint/part_plan.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

namespace fs = std::filesystem;
using ::lory::checkpoint::kManifestFile;
using ::lory::data::CheckpointManifest;
using ::lory::model::NamedTensors;
using ::lory::model::Parameter;
using ::lory::model::ParameterStore;
using ::lory::model::Transformer;

// What the commands that write checkpoints call themselves as jobs.
constexpr absl::string_view kOwnJobs[] = {"jobs/import", "jobs/merge",
                                          "jobs/ensemble", "jobs/upcycle"};

// Whether `folder` is what WriteCheckpoint wrote: no job's checkpoint, and
// nothing beside it.
absl::Status CheckEarlierCheckpoint(const std::string& folder) {
  const absl::StatusOr<CheckpointManifest> manifest =
      lory::checkpoint::ReadCommittedFolder(folder);
  if (!manifest.ok()) {
    return absl::FailedPreconditionError("it is no checkpoint of lory-model");
  }
  if (std::find(std::begin(kOwnJobs), std::end(kOwnJobs), manifest->job) ==
          std::end(kOwnJobs) ||
      manifest->checkpoint.step() != 0 ||
      !manifest->spec.labels().contains(kOriginLabel)) {
    return absl::FailedPreconditionError(
        absl::StrCat("it is a checkpoint of ", manifest->job));
  }
  std::set<std::string> names = {kManifestFile};
  for (const auto& part : manifest->checkpoint.parts()) {
    names.insert(part.file());
  }
  return OnlyFiles(folder, names);
}

OutputOptions CheckpointOutput(bool force) {
  return {.check_earlier = CheckEarlierCheckpoint, .force = force};
}

absl::StatusOr<std::unique_ptr<Transformer>> LoadModel(
    const CheckpointManifest& manifest) {
  const lory::v1::ModelSpec& spec = manifest.spec.model();
  LORY_ASSIGN_OR_RETURN(const lory::config::ModelShape shape,
                        lory::config::ResolveModelShape(spec, "spec.model"));
  const bool dense_phase = lory::checkpoint::IsOfDensePhase(manifest, shape);
  LORY_ASSIGN_OR_RETURN(
      const auto reader,
      lory::checkpoint::CheckpointReader::Open("", manifest.checkpoint, [] {}));
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<Transformer> model,
                        Transformer::CreateUninitialised(spec, dense_phase));
  LORY_RETURN_IF_ERROR(reader->Load(model->parameters().NamedValues()));
  return model;
}

// Weights, and the optimizer's state before its first step.
NamedTensors StateOf(const Transformer& model) {
  at::NoGradGuard no_grad;
  const ParameterStore& store = model.parameters();
  NamedTensors tensors = store.NamedValues();
  const at::Tensor zero = at::zeros_like(store.flat_values());
  for (const char* moment : {"adam_m/", "adam_v/"}) {
    for (const Parameter& parameter : store.parameters()) {
      tensors.emplace_back(absl::StrCat(moment, parameter.name),
                           ParameterStore::ViewOf(zero, parameter));
    }
  }
  tensors.emplace_back("adam_step", at::zeros({1}, at::kLong));
  return tensors;
}

// What the writer of a job's checkpoints leaves in `scratch`.
absl::StatusOr<CheckpointManifest> WriteParts(const Transformer& model,
                                              const Origin& origin,
                                              const std::string& scratch) {
  const lory::checkpoint::PartIdentity identity = {
      .job = origin.job,
      .job_folder = scratch,
      .generation = 1,
      .sample_digest = lory::data::InitialDigest(),
      .metadata = {{"nonfinite_in_row", "0"}, {"nonfinite_count", "0"}}};
  lory::checkpoint::Snapshot snapshot;
  LORY_RETURN_IF_ERROR(lory::train::GuardTorch(
      "copying the model",
      [&]() -> absl::Status { return snapshot.Take(StateOf(model)); }));
  LORY_ASSIGN_OR_RETURN(const lory::v1::CommitCheckpointRequest written,
                        lory::checkpoint::WritePart(lory::io::LocalStorage(),
                                                    identity, snapshot));
  CheckpointManifest manifest;
  manifest.job = origin.job;
  *manifest.spec.mutable_model() = SpecAsIs(model);
  (*manifest.spec.mutable_labels())[kOriginLabel] = origin.note;
  AddLabels(origin.notes, manifest.spec);
  manifest.tokenizer_sha256 = origin.tokenizer_sha256;
  lory::v1::Checkpoint& checkpoint = manifest.checkpoint;
  checkpoint.set_generation(identity.generation);
  checkpoint.set_sample_digest(identity.sample_digest);
  checkpoint.set_folder(written.folder());
  *checkpoint.add_parts() = written.part();
  return manifest;
}

}  // namespace

absl::StatusOr<LoadedCheckpoint> LoadCheckpoint(const std::string& folder) {
  LoadedCheckpoint loaded;
  LORY_ASSIGN_OR_RETURN(loaded.manifest,
                        lory::checkpoint::ReadCommittedFolder(folder));
  auto model = lory::train::GuardTorch(
      "loading", [&] { return LoadModel(loaded.manifest); });
  if (!model.ok()) {
    return lory::checkpoint::ExplainUnreadable(model.status(), folder);
  }
  loaded.model = *std::move(model);
  return loaded;
}

lory::text::WantedTokenizer WantedOf(const LoadedCheckpoint& checkpoint) {
  return {.vocabulary_size = checkpoint.model->shape().vocabulary_size,
          .sha256 = checkpoint.manifest.tokenizer_sha256};
}

absl::Status WriteCheckpoint(const Transformer& model, const Origin& origin,
                             const std::string& folder, bool force) {
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<OutputFolder> output,
                        OutputFolder::Begin(folder, CheckpointOutput(force)));
  // The writer makes a job's folders; only the innermost becomes the output.
  LORY_ASSIGN_OR_RETURN(CheckpointManifest manifest,
                        WriteParts(model, origin, output->path()));
  const std::string innermost = absl::StrCat("checkpoints/step-0.gen-1");
  LORY_RETURN_IF_ERROR(lory::io::LocalStorage().Write(
      absl::StrCat(output->path(), "/", innermost, "/", kManifestFile),
      lory::data::SerializeCheckpointManifest(manifest)));
  return output->Commit(innermost);
}

absl::Status CheckCheckpointTarget(const std::string& folder, bool force) {
  return OutputFolder::Begin(folder, CheckpointOutput(force)).status();
}

lory::v1::ModelSpec SpecAsIs(const Transformer& model) {
  lory::v1::ModelSpec spec = model.spec();
  if (model.shape().feed_forward == lory::config::FeedForwardKind::kDense) {
    spec.mutable_feed_forward()->mutable_dense();
  } else {
    lory::config::RemoveDensePhase(*spec.mutable_feed_forward());
  }
  return spec;
}

std::string BaseName(absl::string_view path) {
  fs::path whole{std::string(path)};
  if (!whole.has_filename()) whole = whole.parent_path();
  return whole.filename().string();
}

}  // namespace lory::surgery
