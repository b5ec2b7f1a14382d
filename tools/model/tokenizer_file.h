#ifndef LORY_TOOLS_MODEL_TOKENIZER_FILE_H_
#define LORY_TOOLS_MODEL_TOKENIZER_FILE_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/text/tokenizer_file.h"

namespace lory::surgery {

using ::lory::text::kTokenizerFile;
using ::lory::text::OpenTokenizer;
using ::lory::text::TokenizerFile;

// By name the files that Hugging Face's libraries take for `file`: a
// tokenizer.json as it is, with what lies beside it, or a tokenizer.model with
// a tokenizer.json of the same tokens. A tokenizer_config.json is made for one
// that has none, and for a tokenizer.model.
struct TokenizerFolder {
  std::map<std::string, std::string> files;
  // Where Hugging Face's transformers make other tokens of a text with these:
  // part of a line for people. Empty: nowhere that is known.
  std::string difference;
};
TokenizerFolder MakeTokenizerFolder(const TokenizerFile& file,
                                    int64_t sequence_length);

// Why the tokenizer in `folder` cannot be used with a model of
// `vocabulary_size` ids here: a line for people. Empty: it can, or there is
// none.
std::string WhyTokenizerIsOfNoUse(const std::string& folder,
                                  int64_t vocabulary_size);

// Token ids of `text`, a part of a document, as models take them.
std::vector<int64_t> EncodeText(const TokenizerFile& file,
                                absl::string_view text);

// The same of a prompt, which stands between the tokenizer's marks.
std::vector<int64_t> EncodePrompt(const TokenizerFile& file,
                                  absl::string_view text);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_TOKENIZER_FILE_H_
