#ifndef LORY_COMMON_TEXT_TOKENIZER_FILE_H_
#define LORY_COMMON_TEXT_TOKENIZER_FILE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/text/tokenizer.h"

namespace lory::text {

// Names of a tokenizer's file in a folder, by what is in it.
inline constexpr char kTokenizerFile[] = "tokenizer.json";
inline constexpr char kSentencePieceFile[] = "tokenizer.model";

inline constexpr const char* kBeside[] = {
    "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja"};

// The one of these for a file that begins so.
const char* TokenizerFileName(absl::string_view bytes);

// The tokenizer that somebody asks for.
struct WantedTokenizer {
  int64_t vocabulary_size = 0;
  std::string sha256;            // of its file, in hex; empty: not known
  std::string of = "the model";  // whose that is, for messages
};

// A tokenizer together with the file that it came from. Immutable.
struct TokenizerFile {
  std::string bytes;  // of that file
  std::unique_ptr<Tokenizer> tokenizer;
  // Text of the token that ends a document; empty: there is none.
  std::string end_of_document;
  // By name the files of kBeside that lie in its folder: what Hugging Face's
  // libraries know of it beyond the tokens.
  std::map<std::string, std::string> beside;
};

// `path`, or of a folder (a dataset's) the tokenizer in it: tokenizer.json, or
// else tokenizer.model if there is one.
std::string TokenizerPath(const std::string& path);

// The same, but of a folder that has both files the tokenizer.model if that is
// the one of `sha256`. Errors as io::Storage's.
absl::StatusOr<std::string> TokenizerPathOf(const std::string& path,
                                            absl::string_view sha256);

// Opens a tokenizer, or the one in a folder, as TokenizerPathOf what is wanted.
//
// NOT_FOUND; INVALID_ARGUMENT: not supported. FAILED_PRECONDITION: it is not
// the one wanted, or has more ids than the model, or fewer where nobody knows
// which one is wanted: models have ids without a token where their vocabulary
// was filled up to a round number. Each names the file.
absl::StatusOr<TokenizerFile> OpenTokenizer(const std::string& path,
                                            const WantedTokenizer& wanted);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TOKENIZER_FILE_H_
