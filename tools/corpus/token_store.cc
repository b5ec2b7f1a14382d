#include "tools/corpus/token_store.h"

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::corpus {

absl::StatusOr<TokenStore> TokenStore::Open(const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(
      ArrayFile<int32_t> tokens,
      ArrayFile<int32_t>::Open(absl::StrCat(folder, "/", kTokensFile)));
  LORY_ASSIGN_OR_RETURN(
      ArrayFile<int64_t> ends,
      ArrayFile<int64_t>::Open(absl::StrCat(folder, "/", kTokenEndsFile)));
  return TokenStore(std::move(tokens), std::move(ends));
}

absl::StatusOr<std::unique_ptr<TokenStoreWriter>> TokenStoreWriter::Create(
    const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<io::FileWriter> tokens,
      io::LocalStorage().Create(absl::StrCat(folder, "/", kTokensFile)));
  return std::unique_ptr<TokenStoreWriter>(
      new TokenStoreWriter(folder, std::move(tokens)));
}

absl::Status TokenStoreWriter::Append(std::span<const int32_t> tokens) {
  ends_.push_back(token_count() + static_cast<int64_t>(tokens.size()));
  return tokens_->Append(BytesOf(tokens));
}

absl::Status TokenStoreWriter::Finish() {
  LORY_RETURN_IF_ERROR(tokens_->Commit());
  return WriteArray<int64_t>(absl::StrCat(folder_, "/", kTokenEndsFile), ends_);
}

}  // namespace lory::corpus
