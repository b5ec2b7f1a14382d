#ifndef LORY_TOOLS_MODEL_TOKENIZER_FILE_H_
#define LORY_TOOLS_MODEL_TOKENIZER_FILE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/text/tokenizer_file.h"

namespace lory::surgery {

using ::lory::text::kTokenizerFile;
using ::lory::text::OpenTokenizer;
using ::lory::text::TokenizerFile;

// tokenizer_config.json that Hugging Face's libraries expect beside it.
std::string TokenizerConfigJson(const TokenizerFile& file,
                                int64_t sequence_length);

// Where Hugging Face's transformers make other tokens of a text with it: part
// of a line for people. Empty: nowhere that is known.
std::string WhatTransformersReadsOtherwise(const TokenizerFile& file);

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
