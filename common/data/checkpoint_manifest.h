#ifndef LORY_COMMON_DATA_CHECKPOINT_MANIFEST_H_
#define LORY_COMMON_DATA_CHECKPOINT_MANIFEST_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lory/v1/checkpoint.pb.h"
#include "lory/v1/job.pb.h"

// `manifest.json` in a checkpoint's folder: what lies beside it, and of what
// job. docs/formats.md describes the file.
namespace lory::data {

struct CheckpointManifest {
  static constexpr int kVersion = 1;

  // Name, step, generation, digest, size, parts. Its state, folder, times and
  // own hash are the journal's, not the file's.
  lory::v1::Checkpoint checkpoint;
  std::string job;  // jobs/{job}
  lory::v1::JobSpec spec;
  // SHA-256 in hex of the manifest committed before; empty: the first.
  std::string previous_sha256;
  // SHA-256 in hex of the tokenizer whose ids the weights were trained with;
  // empty: not known, as in files written before this was told.
  std::string tokenizer_sha256;
};

// Text of manifest.json, the same for the same content, and back.
//
// ParseCheckpointManifest: INVALID_ARGUMENT names the key that is missing or
// wrong; FAILED_PRECONDITION: written by a newer version.
std::string SerializeCheckpointManifest(const CheckpointManifest& manifest);
absl::StatusOr<CheckpointManifest> ParseCheckpointManifest(
    absl::string_view text);

// Whether `text` is a SHA-256 as manifests have it: 64 digits, 0 to 9 and a to
// f.
bool IsSha256Hex(absl::string_view text);

}  // namespace lory::data

#endif  // LORY_COMMON_DATA_CHECKPOINT_MANIFEST_H_
