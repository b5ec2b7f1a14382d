#ifndef LORY_TOOLS_CORPUS_TOKEN_STORE_H_
#define LORY_TOOLS_CORPUS_TOKEN_STORE_H_

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/io/storage.h"
#include "tools/corpus/array_file.h"

namespace lory::corpus {

inline constexpr char kTokensFile[] = "tokens.i32";
inline constexpr char kTokenEndsFile[] = "ends.i64";

// Tokens of every document of a store, mapped. Immutable; thread-safe.
class TokenStore {
 public:
  static absl::StatusOr<TokenStore> Open(const std::string& folder);

  std::span<const int32_t> Of(int64_t document) const {
    const std::span<const int64_t> ends = ends_.values();
    const int64_t begin = document == 0 ? 0 : ends[document - 1];
    return tokens_.values().subspan(begin, ends[document] - begin);
  }

 private:
  TokenStore(ArrayFile<int32_t> tokens, ArrayFile<int64_t> ends)
      : tokens_(std::move(tokens)), ends_(std::move(ends)) {}

  ArrayFile<int32_t> tokens_;
  ArrayFile<int64_t> ends_;
};

// Writes one. Thread-compatible.
class TokenStoreWriter {
 public:
  static absl::StatusOr<std::unique_ptr<TokenStoreWriter>> Create(
      const std::string& folder);

  // Those of the next document; it may have none.
  absl::Status Append(std::span<const int32_t> tokens);
  // Nothing may follow.
  absl::Status Finish();

  int64_t token_count() const { return ends_.empty() ? 0 : ends_.back(); }

 private:
  TokenStoreWriter(std::string folder, std::unique_ptr<io::FileWriter> tokens)
      : folder_(std::move(folder)), tokens_(std::move(tokens)) {}

  const std::string folder_;
  const std::unique_ptr<io::FileWriter> tokens_;
  std::vector<int64_t> ends_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_TOKEN_STORE_H_
