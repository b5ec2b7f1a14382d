#ifndef LORY_COMMON_TEXT_CHARACTER_MAP_H_
#define LORY_COMMON_TEXT_CHARACTER_MAP_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::text {

// What characters, or several in a row, are replaced by: SentencePiece's
// `precompiled_charsmap`, a double-array trie of Darts-clone and texts.
// Immutable; thread-safe.
class CharacterMap {
 public:
  // Replaces nothing.
  CharacterMap() = default;
  // INVALID_ARGUMENT: it is not what SentencePiece writes. Empty `bytes`
  // replace nothing.
  static absl::StatusOr<CharacterMap> Parse(absl::string_view bytes);

  // Whether it replaces nothing.
  bool empty() const { return units_.empty(); }

  // The longest begin of `text` that is replaced: its bytes, and by what.
  // Nothing is: 0.
  size_t Find(absl::string_view text, absl::string_view* by) const;

 private:
  std::vector<uint32_t> units_;
  std::string texts_;  // each ends with a NUL
};

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_CHARACTER_MAP_H_
