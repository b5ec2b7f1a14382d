#include "tools/model/parents.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/text/same_tokenizer.h"

namespace lory::surgery {

std::string OriginName(const lory::data::CheckpointManifest& manifest) {
  if (manifest.spec.labels().contains(kOriginLabel)) {
    return BaseName(manifest.checkpoint.folder());
  }
  return absl::StrCat(manifest.job, " at step ", manifest.checkpoint.step());
}

absl::Status Parents::Add(const LoadedCheckpoint& checkpoint) {
  const std::string& folder = checkpoint.manifest.checkpoint.folder();
  const std::string& sha256 = checkpoint.manifest.tokenizer_sha256;
  LORY_RETURN_IF_ERROR(lory::text::CheckSameTokenizer(
      {folder, sha256}, {known_from_, tokenizer_sha256_},
      "only models of one tokenizer become one: train them on datasets that "
      "`lory-corpus build` made with one `tokenizer: {file: ...}`"));
  if (tokenizer_sha256_.empty()) {
    tokenizer_sha256_ = sha256;
    known_from_ = folder;
  }
  return absl::OkStatus();
}

}  // namespace lory::surgery
