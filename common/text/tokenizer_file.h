#ifndef LORY_COMMON_TEXT_TOKENIZER_FILE_H_
#define LORY_COMMON_TEXT_TOKENIZER_FILE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/text/tokenizer.h"

namespace lory::text {

inline constexpr char kTokenizerFile[] = "tokenizer.json";

// The tokenizer that somebody asks for.
struct WantedTokenizer {
  int64_t vocabulary_size = 0;
  std::string sha256;            // of its file, in hex; empty: not known
  std::string of = "the model";  // whose that is, for messages
};

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
// another vocabulary than the model, or is not the one wanted.
// Each names the file.
absl::StatusOr<TokenizerFile> OpenTokenizer(const std::string& path,
                                            const WantedTokenizer& wanted);

// SHA-256 in hex of the tokenizer.json in `folder`; empty: there is none.
// Errors as io::Storage's.
absl::StatusOr<std::string> TokenizerSha256(const std::string& folder);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TOKENIZER_FILE_H_
