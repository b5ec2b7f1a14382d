#ifndef LORY_TOOLS_MODEL_GENERATION_NOTES_H_
#define LORY_TOOLS_MODEL_GENERATION_NOTES_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "lory/v1/job.pb.h"
#include "tools/model/tokenizer_file.h"

namespace lory::surgery {

// What a Hugging Face folder says of the tokens that begin and end texts, and
// of how text is made: no part of the model, but what transformers does with it
// hangs on it, so that import hands it on to export. JSON objects as they were
// found; empty: there was none.
struct GenerationNotes {
  std::string token_ids;   // config.json's bos_, eos_ and pad_token_id
  std::string generation;  // generation_config.json
  std::string words;       // lines for people, of what was left out of these
};

// What is in `folder`, whose model has `vocabulary_size` ids.
//
// INVALID_ARGUMENT: one of the files is no JSON object, or names an id that is
// none (CheckTokenIds); names the file. Otherwise as io::Storage.
absl::StatusOr<GenerationNotes> ReadGenerationNotes(const std::string& folder,
                                                    int64_t vocabulary_size);

// As labels of a spec, and back from there.
void AddLabels(const GenerationNotes& notes, lory::v1::JobSpec& spec);
GenerationNotes NotesOf(const lory::v1::JobSpec& spec);

// `notes` with ids where there are none: those of bos_token and eos_token of
// the tokenizer_config.json beside the tokenizer, or else of the tokenizer's
// marks; what ends documents begins texts, too, where nothing else does. Null:
// no tokenizer. `generation` is what such a model's generation_config.json is.
GenerationNotes Completed(const GenerationNotes& notes,
                          const TokenizerFile* tokenizer);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_GENERATION_NOTES_H_
