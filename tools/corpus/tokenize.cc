#include "tools/corpus/tokenize.h"

#include <algorithm>
#include <memory>
#include <span>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

// Documents in memory at a time.
constexpr int64_t kBatch = 4096;

}  // namespace

absl::StatusOr<StageResult> Tokenize(const DocumentStore& store,
                                     const text::Tokenizer& tokenizer,
                                     const std::string& folder,
                                     Progress& progress,
                                     const TokenStore* given) {
  progress.Start("tokenize", store.TextBytes(), "bytes");
  const int64_t given_up_before = tokenizer.given_up();
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<TokenStoreWriter> writer,
                        TokenStoreWriter::Create(folder));
  for (int64_t first = 0; first < store.count(); first += kBatch) {
    const int64_t count = std::min(kBatch, store.count() - first);
    std::vector<std::vector<int32_t>> encoded(count);
    ParallelFor(count, 16, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const absl::string_view text = store.TextOf(first + i);
        std::span<const int32_t> known;
        if (given != nullptr) known = given->Of(first + i);
        if (known.empty()) {
          encoded[i] = tokenizer.Encode(text);
        } else {
          encoded[i].assign(known.begin(), known.end());
        }
        encoded[i].push_back(tokenizer.end_of_document_id());
        progress.Advance(static_cast<int64_t>(text.size()));
      }
    });
    for (const std::vector<int32_t>& tokens : encoded) {
      LORY_RETURN_IF_ERROR(writer->Append(tokens));
    }
  }
  LORY_RETURN_IF_ERROR(writer->Finish());
  const int64_t given_up = tokenizer.given_up() - given_up_before;
  if (given_up > 0) progress.Say(GivenUpText(given_up));
  const double total = static_cast<double>(writer->token_count());
  return StageResult{
      {kTokensFile, kTokenEndsFile},
      {{"tokens", total}, {"texts_given_up", static_cast<double>(given_up)}},
      absl::StrFormat("%d tokens, %.2f bytes each", writer->token_count(),
                      static_cast<double>(store.TextBytes()) / total)};
}

std::string GivenUpText(int64_t count) {
  return absl::StrFormat(
      "an expression of the tokenizer gave up on %d %s, whose rest is one "
      "word: its tokens may be other ones than elsewhere (docs/corpus.md, "
      "Tokenizers)",
      count, count == 1 ? "text" : "texts");
}

}  // namespace lory::corpus
