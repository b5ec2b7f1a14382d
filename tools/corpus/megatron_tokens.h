#ifndef LORY_TOOLS_CORPUS_MEGATRON_TOKENS_H_
#define LORY_TOOLS_CORPUS_MEGATRON_TOKENS_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/io/mapped_file.h"
#include "tools/corpus/token_type.h"

namespace lory::corpus {

inline constexpr char kMegatronIndexEnd[] = ".idx";

// The .bin that belongs to a .idx.
std::string MegatronBinOf(absl::string_view idx_path);

// An indexed dataset of Megatron-LM, a .bin of token ids and its .idx
// (docs/formats.md has the layout), with sequences of any length, mapped.
// Immutable; thread-safe.
class MegatronTokens {
 public:
  // Checks every entry of the index against the others and against the size
  // of the .bin, so that whatever is damaged is found here.
  //
  // NOT_FOUND: a file is missing. DATA_LOSS: truncated or inconsistent, names
  // file and byte. INVALID_ARGUMENT: whole, but no tokens of text.
  static absl::StatusOr<std::unique_ptr<MegatronTokens>> Open(
      const std::string& idx_path);

  int64_t document_count() const { return document_count_; }
  TokenType type() const { return type_; }
  // The tokens of a document, whatever sequences it consists of.
  absl::string_view BytesOf(int64_t document) const;

 private:
  MegatronTokens(std::unique_ptr<io::MappedFile> idx,
                 std::unique_ptr<io::MappedFile> bin)
      : idx_(std::move(idx)), bin_(std::move(bin)) {}

  absl::Status CheckHeader();
  absl::Status CheckSequences(const std::string& bin_path) const;
  absl::Status CheckDocuments() const;
  int64_t BeginOf(int64_t sequence) const;

  const std::unique_ptr<io::MappedFile> idx_;
  const std::unique_ptr<io::MappedFile> bin_;
  TokenType type_ = TokenType::kInt32;
  int64_t sequence_count_ = 0;
  int64_t document_count_ = 0;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_MEGATRON_TOKENS_H_
