#ifndef LORY_TOOLS_MODEL_SAVE_MODEL_H_
#define LORY_TOOLS_MODEL_SAVE_MODEL_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/model/generation_notes.h"
#include "worker/model/transformer.h"

// What commands that make a model do in the end.
namespace lory::surgery {

// Numbers of `model` that are not finite.
absl::StatusOr<int64_t> NonfiniteCount(const lory::model::Transformer& model);

// INVALID_ARGUMENT: `model` has such numbers where its inputs had `before`,
// none; says that `flag` is too large.
absl::Status CheckFinite(const lory::model::Transformer& model, int64_t before,
                         absl::string_view flag);

// Where a model goes.
struct SaveTarget {
  std::string verb;              // the command's; it calls itself jobs/VERB
  std::string note;              // what the model is made of
  std::string tokenizer_sha256;  // empty: not known
  GenerationNotes notes;         // of what it is made of, for an export
  std::string to;
  bool force = false;
};

// Writes `model` as a checkpoint; the line that says so. Errors as
// WriteCheckpoint.
absl::StatusOr<std::string> SaveModel(const lory::model::Transformer& model,
                                      const SaveTarget& target);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_SAVE_MODEL_H_
