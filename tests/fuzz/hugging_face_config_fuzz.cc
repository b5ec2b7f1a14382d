// config.json of somebody's LLaMA or Mixtral: what is read has a shape that our
// model can have.
#include "tools/model/hugging_face_config.h"

#include "tests/fuzz/fuzz.h"

namespace lory::surgery {

LORY_FUZZ(json) {
  HasOrigin(json);
  TokenizerOfOrigin(json);
  const auto config = ParseHuggingFaceConfig(json);
  fuzz::CheckError(config.status(), {absl::StatusCode::kInvalidArgument,
                                     absl::StatusCode::kFailedPrecondition});
  if (!config.ok()) return;
  LORY_CHECK(config->spec.width() > 0 && config->spec.layer_count() > 0 &&
             config->spec.head_count() > 0);
}

}  // namespace lory::surgery
