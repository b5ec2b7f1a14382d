#ifndef LORY_TOOLS_MODEL_CHECKPOINT_FOLDER_H_
#define LORY_TOOLS_MODEL_CHECKPOINT_FOLDER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/data/checkpoint_manifest.h"
#include "common/text/tokenizer_file.h"
#include "lory/v1/model.pb.h"
#include "tools/model/generation_notes.h"
#include "worker/model/transformer.h"

// Checkpoints as folders, without the service: docs/formats.md.
namespace lory::surgery {

struct LoadedCheckpoint {
  lory::data::CheckpointManifest manifest;
  // With the checkpoint's weights. Of a Lory job's dense phase: dense.
  std::unique_ptr<lory::model::Transformer> model;
};

// Reads a folder `step-N.gen-G` and compares every part with the manifest.
//
// NOT_FOUND: no such folder. INVALID_ARGUMENT: it is no checkpoint; says what
// it is instead. DATA_LOSS: a part is missing or altered. Each names the file.
absl::StatusOr<LoadedCheckpoint> LoadCheckpoint(const std::string& folder);

// The tokenizer that it is to be used with.
lory::text::WantedTokenizer WantedOf(const LoadedCheckpoint& checkpoint);

// Where a checkpoint that no job wrote comes from.
struct Origin {
  std::string job;               // jobs/import
  std::string note;              // "import of llama-160m", kOriginLabel
  std::string tokenizer_sha256;  // CheckpointManifest's; empty: not known
  GenerationNotes notes;         // become labels, too
};

// The label of the spec that has the note.
inline constexpr char kOriginLabel[] = "origin";

// Writes `model` as the state before the first step: cursor 0, Adam's moments
// zero. The folder appears at once or not at all; Transformer::spec() must say
// what the model is (see SpecAsIs).
//
// ALREADY_EXISTS: `folder` is there and not empty; `force` replaces an earlier
// checkpoint, and nothing else. RESOURCE_EXHAUSTED: disk or memory.
absl::Status WriteCheckpoint(const lory::model::Transformer& model,
                             const Origin& origin, const std::string& folder,
                             bool force);

// OK, or the error with which WriteCheckpoint would begin: for commands that
// have much to do before they write.
absl::Status CheckCheckpointTarget(const std::string& folder, bool force);

// The spec of `model` as it stands: of a dense phase the dense spec, of a Lory
// model one without a dense phase.
lory::v1::ModelSpec SpecAsIs(const lory::model::Transformer& model);

// The last part of a path, "step-100.gen-1": for notes and messages.
std::string BaseName(absl::string_view path);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_CHECKPOINT_FOLDER_H_
