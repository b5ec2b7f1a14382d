#ifndef LORY_COMMON_TEXT_TOKENIZER_H_
#define LORY_COMMON_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// Special tokens that stand around a text which is asked about alone, such as a
// prompt: what `tokenizer(text)` of Hugging Face's transformers puts there.
// Documents of a corpus go without.
struct TextMarks {
  std::vector<int32_t> before, after;
};

// Text to token ids and back. Immutable; thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual int64_t vocabulary_size() const = 0;
  // Whether an id below that is a token, and no gap between others'.
  virtual bool HasToken(int32_t id) const {
    return id >= 0 && id < vocabulary_size();
  }
  // Put after every document; -1: none.
  virtual int32_t end_of_document_id() const = 0;
  // Text of that token, which text is never encoded to; empty: none.
  virtual std::string end_of_document() const { return ""; }
  // What stands around a text; of tokenizers that are trained here, nothing.
  virtual TextMarks marks() const { return {}; }
  // Text of the first token before a text; empty: there is none.
  virtual std::string begin_of_text() const { return ""; }
  // The token of that text which words never become; -1: there is none.
  virtual int32_t SpecialId(absl::string_view) const { return -1; }

  // Never fails: bytes that are no text are encoded as bytes, by SentencePiece
  // models as U+FFFD.
  virtual std::vector<int32_t> Encode(absl::string_view text) const = 0;
  // Decode(Encode(x)) == x, where the tokenizer does not change texts itself
  // (normal forms of characters, spaces). Unknown ids and special tokens become
  // nothing.
  virtual std::string Decode(const std::vector<int32_t>& ids) const = 0;
  // Of one token within a text: bytes that may end within a character. At the
  // begin of a text Decode drops a space that only encoding put there.
  virtual std::string TokenText(int32_t id) const { return Decode({id}); }
  // How often one of its expressions found no end in a text so far and left the
  // rest of it in one piece: see SplitPattern. Other tokens than the same
  // expression gives elsewhere, but no text is lost.
  virtual int64_t given_up() const { return 0; }
};

// The tokens of a text in which the marks that begin texts and end documents,
// as they are written, are those tokens, as in other people's libraries. What
// stands between two is encoded as a text of its own. Time grows with the text.
std::vector<int64_t> EncodeWithMarks(const Tokenizer& tokenizer,
                                     absl::string_view end_of_document,
                                     absl::string_view text);

// The same between the marks of `tokenizer`, as models take a prompt.
std::vector<int64_t> EncodeBetweenMarks(const Tokenizer& tokenizer,
                                        absl::string_view end_of_document,
                                        absl::string_view text);

// Loads `path`: a tokenizer.json in Hugging Face's layout, BPE of bytes (GPT-2,
// LLaMA 3) or of characters with tokens for bytes (Mixtral), or a
// tokenizer.model of SentencePiece, BPE with byte fallback (LLaMA 2). A
// tokenizer_config.json beside the latter may say what stands around a text.
// NOT_FOUND; INVALID_ARGUMENT names what is unsupported, and the file.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(
    const std::string& path);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TOKENIZER_H_
