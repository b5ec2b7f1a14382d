#ifndef LORY_COMMON_TEXT_TOKENIZER_FILE_H_
#define LORY_COMMON_TEXT_TOKENIZER_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"

namespace lory::text {

inline constexpr char kTokenizerFile[] = "tokenizer.json";

// A tokenizer together with the file that it came from. Immutable.
struct TokenizerFile {
  std::string json;
  std::unique_ptr<Tokenizer> tokenizer;
  // Text of the token that ends a document; empty: there is none.
  std::string end_of_document;
};

// Opens a tokenizer.json, or the one in a folder (a dataset's).
//
// NOT_FOUND; INVALID_ARGUMENT: not supported. FAILED_PRECONDITION: it has
// another vocabulary than the model. Each names the file.
absl::StatusOr<TokenizerFile> OpenTokenizer(const std::string& path,
                                            int64_t vocabulary_size);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TOKENIZER_FILE_H_
