#include "tools/corpus/tokenizer_stage.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_model.h"
#include "tools/corpus/byte_pair_trainer.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

constexpr int64_t kTokenizeGrain = 64;  // documents

WordCounts CountAll(const DocumentStore& store,
                    const std::vector<int64_t>& documents) {
  Mutex mutex;
  WordCounts counts;
  ParallelFor(static_cast<int64_t>(documents.size()), kTokenizeGrain * 8,
              [&](int64_t begin, int64_t end) {
                WordCounts own;
                for (int64_t i = begin; i < end; ++i) {
                  CountWords(store.TextOf(documents[i]), &own);
                }
                // Sums do not depend on who comes first.
                MutexLock lock(&mutex);
                for (const auto& [word, count] : own) counts[word] += count;
              });
  return counts;
}

}  // namespace

absl::StatusOr<StageResult> TrainTokenizer(const DocumentStore& store,
                                           std::span<const uint8_t> held_out,
                                           int64_t vocabulary_size,
                                           int64_t megabytes,
                                           const std::string& folder,
                                           Progress& progress) {
  std::vector<int64_t> documents;
  // Every n-th document, so that a limit does not favour the first domains.
  const int64_t stride = store.TextBytes() / (megabytes * 1'000'000) + 1;
  for (int64_t i = 0; i < store.count(); i += stride) {
    if (!held_out[i]) documents.push_back(i);
  }
  progress.Start("tokenizer", vocabulary_size - 257);
  const WordCounts counts = CountAll(store, documents);
  const text::BytePairModel model = TrainBytePairs(
      counts, vocabulary_size, [&progress] { progress.Advance(1); });
  const int64_t size = static_cast<int64_t>(model.tokens.size());
  LORY_RETURN_IF_ERROR(
      io::LocalStorage().Write(absl::StrCat(folder, "/", kTokenizerFile),
                               text::SerializeBytePairModel(model)));
  if (size < vocabulary_size) {
    progress.Say(absl::StrCat("the text has only ", size,
                              " tokens worth learning, not ", vocabulary_size,
                              ": vocabulary_size is larger than it can fill"));
  }
  return StageResult{
      {kTokenizerFile},
      {{"vocabulary_size", static_cast<double>(size)}},
      absl::StrFormat("%d tokens learned from %d words", size, counts.size())};
}

absl::StatusOr<std::unique_ptr<text::Tokenizer>> LoadForCorpus(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<text::Tokenizer> tokenizer,
                        text::LoadTokenizer(path));
  if (tokenizer->end_of_document_id() < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, " has no token that ends documents (",
                     text::kEndOfDocument, ", </s>, ..., see docs/corpus.md)"));
  }
  return tokenizer;
}

absl::StatusOr<StageResult> TakeTokenizer(const std::string& path,
                                          const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<text::Tokenizer> tokenizer,
                        LoadForCorpus(path));
  io::Storage& storage = io::LocalStorage();
  LORY_ASSIGN_OR_RETURN(const std::string bytes, storage.Read(path));
  const char* name = text::TokenizerFileName(bytes);
  LORY_RETURN_IF_ERROR(storage.Write(absl::StrCat(folder, "/", name), bytes));
  return StageResult{
      {name},
      {{"vocabulary_size", static_cast<double>(tokenizer->vocabulary_size())}},
      absl::StrCat("loaded, ", tokenizer->vocabulary_size(), " tokens")};
}

}  // namespace lory::corpus
