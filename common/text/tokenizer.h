#ifndef LORY_COMMON_TEXT_TOKENIZER_H_
#define LORY_COMMON_TEXT_TOKENIZER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// Text to token ids and back. Immutable; thread-safe.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;

  virtual int64_t vocabulary_size() const = 0;
  // Put after every document; -1: none.
  virtual int32_t end_of_document_id() const = 0;

  // Never fails: bytes that are no text are encoded as bytes.
  virtual std::vector<int32_t> Encode(absl::string_view text) const = 0;
  // Decode(Encode(x)) == x. Unknown ids become nothing.
  virtual std::string Decode(const std::vector<int32_t>& ids) const = 0;
};

// Loads `path`: `tokenizer.json` (byte-level BPE in Hugging Face's layout).
// NOT_FOUND; INVALID_ARGUMENT names what is unsupported.
absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(
    const std::string& path);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_TOKENIZER_H_
