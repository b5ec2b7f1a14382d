#include "tools/corpus/tokenize.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

constexpr char kTokensFile[] = "tokens.i32";
constexpr char kEndsFile[] = "ends.i64";
// Documents in memory at a time.
constexpr int64_t kBatch = 4096;

}  // namespace

absl::StatusOr<TokenStore> TokenStore::Open(const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(
      ArrayFile<int32_t> tokens,
      ArrayFile<int32_t>::Open(absl::StrCat(folder, "/", kTokensFile)));
  LORY_ASSIGN_OR_RETURN(
      ArrayFile<int64_t> ends,
      ArrayFile<int64_t>::Open(absl::StrCat(folder, "/", kEndsFile)));
  return TokenStore(std::move(tokens), std::move(ends));
}

absl::StatusOr<StageResult> Tokenize(const DocumentStore& store,
                                     const text::Tokenizer& tokenizer,
                                     const std::string& folder,
                                     Progress& progress) {
  progress.Start("tokenize", store.TextBytes());
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<io::FileWriter> writer,
      io::LocalStorage().Create(absl::StrCat(folder, "/", kTokensFile)));
  std::vector<int64_t> ends;
  int64_t total = 0;
  for (int64_t first = 0; first < store.count(); first += kBatch) {
    const int64_t count = std::min(kBatch, store.count() - first);
    std::vector<std::vector<int32_t>> encoded(count);
    ParallelFor(count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const absl::string_view text = store.TextOf(first + i);
        encoded[i] = tokenizer.Encode(text);
        encoded[i].push_back(tokenizer.end_of_document_id());
        progress.Advance(static_cast<int64_t>(text.size()));
      }
    });
    for (const std::vector<int32_t>& tokens : encoded) {
      total += static_cast<int64_t>(tokens.size());
      ends.push_back(total);
      LORY_RETURN_IF_ERROR(writer->Append(BytesOf<int32_t>(tokens)));
    }
  }
  LORY_RETURN_IF_ERROR(writer->Commit());
  LORY_RETURN_IF_ERROR(
      WriteArray<int64_t>(absl::StrCat(folder, "/", kEndsFile), ends));
  return StageResult{{kTokensFile, kEndsFile},
                     {{"tokens", static_cast<double>(total)}},
                     absl::StrFormat("%d tokens, %.2f bytes each", total,
                                     static_cast<double>(store.TextBytes()) /
                                         static_cast<double>(total))};
}

}  // namespace lory::corpus
