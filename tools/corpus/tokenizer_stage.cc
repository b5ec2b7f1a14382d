#include "tools/corpus/tokenizer_stage.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/mutex.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_model.h"
#include "tools/corpus/byte_pair_trainer.h"
#include "tools/corpus/parallel.h"
#include "tools/corpus/sentence_piece_trainer.h"

namespace lory::corpus {
namespace {

constexpr int64_t kTokenizeGrain = 64;  // documents

// Every n-th of those that are not held out, so that a limit does not favour
// the first domains.
std::vector<int64_t> DocumentsToTrainOn(const DocumentStore& store,
                                        std::span<const uint8_t> held_out,
                                        int64_t megabytes) {
  std::vector<int64_t> documents;
  const int64_t stride = store.TextBytes() / (megabytes * 1'000'000) + 1;
  int64_t seen = 0;
  for (int64_t i = 0; i < store.count(); ++i) {
    if (!held_out[i] && seen++ % stride == 0) documents.push_back(i);
  }
  return documents;
}

// The lines of a text, long ones in parts that end with a character, while
// there is room for bytes of them.
void AddSentences(absl::string_view text, int64_t* room,
                  std::vector<std::string>* sentences) {
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    while (!line.empty() && *room > 0) {
      size_t bytes = std::min(line.size(), kMostSentenceBytes);
      while (bytes > 1 && bytes < line.size() &&
             (static_cast<uint8_t>(line[bytes]) & 0xc0) == 0x80) {
        --bytes;
      }
      sentences->emplace_back(line.substr(0, bytes));
      line.remove_prefix(bytes);
      *room -= static_cast<int64_t>(bytes);
    }
  }
}

// Words for people when less was learned than was asked for.
void SayIfSmaller(int64_t size, int64_t wanted, Progress& progress) {
  if (size >= wanted) return;
  progress.Say(absl::StrCat("the text has only ", size,
                            " tokens worth learning, not ", wanted,
                            ": vocabulary_size is larger than it can fill"));
}

// SentencePiece says how many it needs: "... required_chars. 257 vs 271. ...".
absl::Status TooFewPieces(int64_t wanted, absl::string_view error) {
  const std::vector<absl::string_view> parts =
      absl::StrSplit(error, absl::StrCat(". ", wanted, " vs "));
  int64_t least = 0;
  if (parts.size() == 2 &&
      absl::SimpleAtoi(parts[1].substr(0, parts[1].find('.')), &least)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "tokenizer.vocabulary_size: is ", wanted, "; of this text it must be ",
        least, " at least: each of its characters, 256 bytes and 3 marks"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("tokenizer.vocabulary_size: is ", wanted,
                   ", of which SentencePiece makes no tokenizer: ", error));
}

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
  const std::vector<int64_t> documents =
      DocumentsToTrainOn(store, held_out, megabytes);
  progress.Start("tokenizer", vocabulary_size - 257, "tokens");
  const WordCounts counts = CountAll(store, documents);
  const text::BytePairModel model = TrainBytePairs(
      counts, vocabulary_size, [&progress] { progress.Advance(1); });
  const int64_t size = static_cast<int64_t>(model.tokens.size());
  LORY_RETURN_IF_ERROR(
      io::LocalStorage().Write(absl::StrCat(folder, "/", kTokenizerFile),
                               text::SerializeBytePairModel(model)));
  SayIfSmaller(size, vocabulary_size, progress);
  return StageResult{
      {kTokenizerFile},
      {{"vocabulary_size", static_cast<double>(size)}},
      absl::StrFormat("%d tokens learned from %d words", size, counts.size())};
}

absl::StatusOr<StageResult> TrainSentencePieceTokenizer(
    const DocumentStore& store, std::span<const uint8_t> held_out,
    int64_t vocabulary_size, int64_t megabytes, const std::string& folder,
    Progress& progress) {
  std::vector<std::string> sentences;
  int64_t room = megabytes * 1'000'000;
  for (const int64_t i : DocumentsToTrainOn(store, held_out, megabytes)) {
    AddSentences(store.TextOf(i), &room, &sentences);
  }
  if (sentences.empty()) {
    return absl::InvalidArgumentError(
        "tokenizer: no document that is not held out has text to learn from");
  }
  progress.Start("tokenizer", static_cast<int64_t>(sentences.size()), "lines");
  std::string error;
  const std::string model =
      TrainSentencePieces(sentences, vocabulary_size, &error);
  if (model.empty()) {
    return TooFewPieces(vocabulary_size, error);
  }
  const std::string path = absl::StrCat(folder, "/", kSentencePieceFile);
  LORY_RETURN_IF_ERROR(io::LocalStorage().Write(path, model));
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<text::Tokenizer> tokenizer,
                        LoadForCorpus(path));
  const int64_t size = tokenizer->vocabulary_size();
  SayIfSmaller(size, vocabulary_size, progress);
  progress.Advance(static_cast<int64_t>(sentences.size()));
  return StageResult{{kSentencePieceFile},
                     {{"vocabulary_size", static_cast<double>(size)}},
                     absl::StrFormat("%d pieces learned from %d lines", size,
                                     sentences.size())};
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
