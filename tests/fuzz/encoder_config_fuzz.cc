// config.json of a BERT encoder and of its pooling, each before or behind the
// cut: sizes that are read are positive and fit each other.
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/encoder/model_folder.h"

namespace lory::corpus {

LORY_FUZZ(input) {
  const auto& folder = fuzz::Folder();
  const auto [config, rest] = fuzz::CutInTwo(input);
  const auto [modules, pooling_config] = fuzz::CutInTwo(rest);
  folder.Write("config.json", config);
  folder.Write("modules.json", modules);
  folder.Write("1_Pooling/config.json", pooling_config);
  const auto shape = ReadBertShape(folder.path());
  fuzz::CheckError(shape.status(), {absl::StatusCode::kInvalidArgument});
  if (shape.ok()) {
    for (const int64_t count :
         {shape->hidden, shape->layers, shape->heads, shape->intermediate,
          shape->vocabulary, shape->positions, shape->types}) {
      LORY_CHECK(count > 0);
    }
    LORY_CHECK(shape->hidden % shape->heads == 0);
    LORY_CHECK(shape->epsilon >= 0 && shape->epsilon <= 1);
  }
  const auto pooling = ReadPooling(folder.path());
  fuzz::CheckError(pooling.status(), {absl::StatusCode::kInvalidArgument});
  if (pooling.ok()) LORY_CHECK(!NameOf(*pooling).empty());
}

}  // namespace lory::corpus
