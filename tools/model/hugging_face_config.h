#ifndef LORY_TOOLS_MODEL_HUGGING_FACE_CONFIG_H_
#define LORY_TOOLS_MODEL_HUGGING_FACE_CONFIG_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/config/model_shape.h"
#include "lory/v1/model.pb.h"

// config.json of a Hugging Face model folder. Pure.
namespace lory::surgery {

inline constexpr char kConfigFile[] = "config.json";
inline constexpr char kGenerationFile[] = "generation_config.json";

// Keys of both for the tokens that begin and end texts and fill them up: a
// number, or a list of these.
inline constexpr const char* kTokenIdKeys[] = {"bos_token_id", "eos_token_id",
                                               "pad_token_id"};

// What stands beside the shape.
struct HuggingFaceConfigNotes {
  std::string token_ids;          // a JSON object of kTokenIdKeys; empty: none
  std::string dtype = "float32";  // of the weights, as torch calls it
  std::string origin;             // where the model comes from, for people
  std::string tokenizer_sha256;   // of the tokenizer it was trained with
};

// What a Hugging Face class is called that computes what a model of `shape`
// does: LlamaForCausalLM, or with token choice MixtralForCausalLM. Of no other
// shapes.
absl::string_view HuggingFaceArchitecture(
    const lory::config::ModelShape& shape);

// The configuration of such a model, with weights of notes.dtype.
std::string HuggingFaceConfigJson(const lory::config::ModelShape& shape,
                                  const HuggingFaceConfigNotes& notes);

// Whether `json` is what HuggingFaceConfigJson wrote with an origin, and no
// other program after it.
bool HasOrigin(absl::string_view json);

// The tokenizer_sha256 that HuggingFaceConfigJson wrote into it. Empty: none,
// or another program saved the model since, and may have given it other ids.
std::string TokenizerOfOrigin(absl::string_view json);

struct HuggingFaceConfig {
  lory::v1::ModelSpec spec;  // dense, or of a Mixtral token_choice
  // The head is the embedding, and no file need hold it.
  bool has_tied_head = false;
};

// Reads the configuration of a LlamaForCausalLM or a MixtralForCausalLM, with
// the defaults of its class for what it leaves out. How much the balance of
// experts counted in training is read, which balance it was is not said there:
// it is taken for transformers' own.
//
// INVALID_ARGUMENT: a key is missing or no such number.
// FAILED_PRECONDITION: it asks for what our model cannot do (another
// architecture, rotary scaling, biases, ...). Both name the key.
absl::StatusOr<HuggingFaceConfig> ParseHuggingFaceConfig(
    absl::string_view json);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_HUGGING_FACE_CONFIG_H_
