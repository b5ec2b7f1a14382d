// manifest.json of a checkpoint: what was read writes again, and reads as the
// same.
#include "common/data/checkpoint_manifest.h"

#include <google/protobuf/util/message_differencer.h>

#include "tests/fuzz/fuzz.h"

namespace lory::data {

LORY_FUZZ(input) {
  using google::protobuf::util::MessageDifferencer;
  const auto manifest = ParseCheckpointManifest(input);
  fuzz::CheckError(manifest.status(), {absl::StatusCode::kInvalidArgument,
                                       absl::StatusCode::kFailedPrecondition});
  if (!manifest.ok()) return;
  const auto again =
      ParseCheckpointManifest(SerializeCheckpointManifest(*manifest));
  LORY_CHECK(again.ok());
  LORY_CHECK(
      MessageDifferencer::Equals(again->checkpoint, manifest->checkpoint));
  LORY_CHECK(MessageDifferencer::Equals(again->spec, manifest->spec));
  LORY_CHECK(again->job == manifest->job &&
             again->previous_sha256 == manifest->previous_sha256 &&
             again->tokenizer_sha256 == manifest->tokenizer_sha256);
}

}  // namespace lory::data
