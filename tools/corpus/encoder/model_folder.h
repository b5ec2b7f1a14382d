#ifndef LORY_TOOLS_CORPUS_ENCODER_MODEL_FOLDER_H_
#define LORY_TOOLS_CORPUS_ENCODER_MODEL_FOLDER_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"

// A folder of a BERT encoder in Hugging Face's layout: config.json,
// model.safetensors, tokenizer.json or vocab.txt, and perhaps what
// sentence-transformers adds (modules.json, 1_Pooling/config.json).
namespace lory::corpus {

// How the vectors of a text's tokens become one.
enum class Pooling {
  kMean,            // of all, [CLS] and [SEP] too: Contriever, MiniLM
  kMeanWithoutCls,  // of all but [CLS]: In-Context Pretraining's released code
  kCls              // that of [CLS]
};

// "mean", "mean_without_cls", "cls".
absl::string_view NameOf(Pooling pooling);

enum class Activation { kGelu, kGeluTanh, kRelu };

// What config.json says of the encoder's shape.
struct BertShape {
  int64_t hidden = 0;
  int64_t layers = 0;
  int64_t heads = 0;
  int64_t intermediate = 0;
  int64_t vocabulary = 0;
  int64_t positions = 0;
  int64_t types = 2;
  double epsilon = 1e-12;  // of LayerNorm
  Activation activation = Activation::kGelu;
};

// NOT_FOUND: no such file. INVALID_ARGUMENT: not an encoder that can be run
// here. Both name the file, the key and what mends it.
absl::StatusOr<BertShape> ReadBertShape(const std::string& folder);

// Where the file is that says how vectors become one: in the path of the
// Pooling that modules.json names, in 1_Pooling where there is no modules.json;
// empty: it names none. INVALID_ARGUMENT: it has another module than
// Transformer, Pooling and Normalize, which would be left out.
absl::StatusOr<std::string> FindPoolingFile(const std::string& folder);

// What `file`, as FindPoolingFile has it, says; kMean without one, or where
// there is neither it nor a modules.json. NOT_FOUND: modules.json names it.
// INVALID_ARGUMENT: a pooling that there is none of here.
absl::StatusOr<Pooling> ReadPooling(const std::string& folder,
                                    const std::string& file);

// An object in `folder`, or, where `is_list`, an array. NOT_FOUND;
// INVALID_ARGUMENT: it is none.
absl::StatusOr<nlohmann::json> ReadJson(const std::string& folder,
                                        absl::string_view file,
                                        bool is_list = false);

// At most a line of it, for messages.
std::string ShortJson(const nlohmann::json& value);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ENCODER_MODEL_FOLDER_H_
