#ifndef LORY_TOOLS_MODEL_PARENTS_H_
#define LORY_TOOLS_MODEL_PARENTS_H_

#include <string>

#include "absl/status/status.h"
#include "tools/model/checkpoint_folder.h"

// The checkpoints that a new one is made of.
namespace lory::surgery {

// What a checkpoint is called in the origin of others: "jobs/tiny at step 400";
// one that no job trained by its folder, for whoever made it chose that.
std::string OriginName(const lory::data::CheckpointManifest& manifest);

// Their tokenizer, which must be one. Thread-compatible.
class Parents {
 public:
  // FAILED_PRECONDITION: it was trained with another tokenizer than one added
  // before; names both.
  absl::Status Add(const LoadedCheckpoint& checkpoint);

  // SHA-256 in hex; empty: of none it is known.
  const std::string& tokenizer_sha256() const { return tokenizer_sha256_; }

 private:
  std::string tokenizer_sha256_;
  std::string known_from_;  // the first checkpoint that tells
};

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_PARENTS_H_
