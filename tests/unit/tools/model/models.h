#ifndef LORY_TESTS_UNIT_TOOLS_MODEL_MODELS_H_
#define LORY_TESTS_UNIT_TOOLS_MODEL_MODELS_H_

#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/worker/model/test_models.h"
#include "tools/model/checkpoint_folder.h"

namespace lory::surgery {

// Writes a model of `spec` to `folder` and returns the folder.
inline std::string WriteModel(const std::string& folder,
                              const lory::v1::ModelSpec& spec,
                              uint64_t seed = 1,
                              const std::string& tokenizer_sha256 = "") {
  EXPECT_OK(WriteCheckpoint(*lory::model::MakeModel(spec, seed),
                            {.job = "jobs/test",
                             .note = "test",
                             .tokenizer_sha256 = tokenizer_sha256},
                            folder, /*force=*/false));
  return folder;
}

inline std::unique_ptr<lory::model::Transformer> Load(
    const std::string& folder) {
  auto loaded = LoadCheckpoint(folder);
  EXPECT_OK(loaded);
  return std::move(loaded->model);
}

// Whether the same numbers stand under the same names.
inline bool SameWeights(const lory::model::Transformer& a,
                        const lory::model::Transformer& b) {
  return a.parameters().flat_values().equal(b.parameters().flat_values());
}

}  // namespace lory::surgery

#endif  // LORY_TESTS_UNIT_TOOLS_MODEL_MODELS_H_
