#include "coordinator/engine/initial_weights.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/error_detail.h"
#include "common/base/status_macros.h"
#include "common/config/feed_forward_shape.h"
#include "common/config/generation_labels.h"
#include "common/config/model_shape.h"

namespace lory::coordinator {
namespace {

using ::lory::config::ParameterShape;

std::string Describe(const ParameterShape& shape) {
  return absl::StrCat(shape.name, " [", absl::StrJoin(shape.sizes, ", "), "]");
}

std::string Describe(const std::vector<ParameterShape>& shapes, size_t at) {
  return at < shapes.size() ? Describe(shapes[at]) : "no further tensor";
}

// The first tensor in which two models differ; empty: in none.
std::string FindDifference(const std::vector<ParameterShape>& asked,
                           const std::vector<ParameterShape>& held) {
  for (size_t i = 0; i < std::max(asked.size(), held.size()); ++i) {
    const std::string ours = Describe(asked, i);
    const std::string theirs = Describe(held, i);
    if (ours != theirs) {
      return absl::StrCat("it has ", ours, " where the checkpoint has ",
                          theirs);
    }
  }
  return "";
}

// The model whose parameters the checkpoint holds.
absl::StatusOr<lory::v1::ModelSpec> HeldModel(
    const data::CheckpointManifest& initial) {
  lory::v1::ModelSpec model = initial.spec.model();
  LORY_ASSIGN_OR_RETURN(const config::ModelShape shape,
                        config::ResolveModelShape(model, "spec.model"));
  if (initial.checkpoint.step() <
      config::DenseStepCount(shape, initial.spec.step_count())) {
    model.mutable_feed_forward()->mutable_dense();
  } else {
    config::RemoveDensePhase(*model.mutable_feed_forward());
  }
  return model;
}

}  // namespace

absl::StatusOr<data::CheckpointManifest> ReadInitialWeights(
    io::Storage& storage, const std::string& folder) {
  const std::string path = absl::StrCat(folder, "/manifest.json");
  const absl::StatusOr<std::string> text = storage.Read(path);
  if (!text.ok()) {
    return absl::Status(
        text.status().code(),
        absl::StrCat("spec.init_from: ", text.status().message(),
                     "; a checkpoint is a folder step-N.gen-G, as `loryctl "
                     "checkpoint list JOB -o yaml` names them and `lory-model` "
                     "writes them"));
  }
  auto manifest = data::ParseCheckpointManifest(*text);
  if (!manifest.ok()) {
    return Annotate(manifest.status(), absl::StrCat("spec.init_from: ", path));
  }
  manifest->checkpoint.set_folder(folder);
  return manifest;
}

absl::Status BeginFrom(const data::CheckpointManifest& initial,
                       lory::v1::JobSpec& spec) {
  const absl::StatusOr<lory::v1::ModelSpec> held = HeldModel(initial);
  if (!held.ok()) return Annotate(held.status(), "spec.init_from");
  config::KeepGenerationLabels(initial.spec, spec);
  if (!spec.has_model()) {
    *spec.mutable_model() = *held;
    return absl::OkStatus();
  }
  config::RemoveDensePhase(*spec.mutable_model()->mutable_feed_forward());
  const auto asked = config::ResolveModelShape(spec.model(), "spec.model");
  const auto there = config::ResolveModelShape(*held, "spec.init_from");
  // What is wrong with the model itself is told by its own check.
  if (!asked.ok()) return absl::OkStatus();
  if (!there.ok()) return there.status();
  const std::string difference = FindDifference(
      config::ParameterShapes(*asked), config::ParameterShapes(*there));
  if (difference.empty()) return absl::OkStatus();
  return FieldErrors(
      {{"spec.model",
        absl::StrCat(difference, " (", spec.init_from(),
                     "); leave `model` out to take the checkpoint's, or make "
                     "a dense checkpoint one with experts with `lory-model "
                     "upcycle`")}});
}

}  // namespace lory::coordinator
