#include "tools/corpus/inspect.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "common/data/dataset.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/dataset_view.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/pack.h"

namespace lory::corpus {
namespace {

constexpr int kShownLines = 4;
constexpr size_t kShownColumns = 72;

// The first lines of a text, cut to fit a terminal, never inside a character.
std::string FirstLines(absl::string_view text) {
  std::string out;
  int shown = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (line.empty()) continue;
    if (shown++ == kShownLines) break;
    size_t end = std::min(line.size(), kShownColumns);
    while (end > 0 && end < line.size() &&
           (static_cast<unsigned char>(line[end]) & 0xC0) == 0x80) {
      --end;
    }
    absl::StrAppend(&out, "      ", line.substr(0, end),
                    end < line.size() ? "..." : "", "\n");
  }
  return out;
}

std::string Overview(const data::Dataset& dataset,
                     const std::vector<IndexedDocument>& documents) {
  const data::DatasetManifest& manifest = dataset.manifest();
  std::string out = absl::StrFormat(
      "dataset     %s\norder       %s, seed %d\n"
      "documents   %d\ntokens      %d in %d sequences of %d\n"
      "vocabulary  %d (%s)\nsimilarity  %.3f between neighbours\n\n"
      "%-16s %9s %12s %9s\n",
      manifest.name, manifest.order, manifest.seed, manifest.document_count,
      manifest.token_count, manifest.SequenceCount(),
      manifest.sequence_length + 1, manifest.vocabulary_size,
      manifest.tokenizer_file, manifest.neighbor_similarity, "domain",
      "documents", "tokens", "held out");
  struct Totals {
    int64_t documents = 0;
    int64_t tokens = 0;
    int64_t held_out = 0;  // tokens
  };
  std::map<std::string, Totals> domains;
  for (const IndexedDocument& document : documents) {
    Totals& totals = domains[document.domain];
    ++totals.documents;
    totals.tokens += document.token_count;
  }
  for (const data::HeldOutEntry& entry : manifest.held_out) {
    domains[entry.domain].held_out =
        entry.shard.sequence_count * (manifest.sequence_length + 1);
  }
  for (const auto& [domain, totals] : domains) {
    absl::StrAppendFormat(&out, "%-16s %9d %12d %9d\n", domain,
                          totals.documents, totals.tokens, totals.held_out);
  }
  return out;
}

absl::StatusOr<std::string> SequenceText(
    const data::Dataset& dataset, const text::Tokenizer& tokenizer,
    const std::vector<IndexedDocument>& documents, int64_t sequence) {
  const data::DatasetManifest& manifest = dataset.manifest();
  const int64_t count = dataset.sequence_count();
  if (sequence < 0 || sequence >= count) {
    return absl::OutOfRangeError(
        absl::StrCat("no sequence ", sequence, ": there are 0 to ", count - 1));
  }
  const int64_t context = manifest.sequence_length + 1;
  std::vector<int64_t> stored(context);
  LORY_RETURN_IF_ERROR(dataset.Read(sequence, stored));
  const int64_t begin = PackedPlaceOf(manifest.seed, count, sequence) * context;
  const int64_t end = begin + context;
  std::string out =
      absl::StrFormat("sequence %d of %d, %d tokens of %s (%s)\n", sequence,
                      count, context, manifest.name, manifest.order);
  auto document = std::upper_bound(documents.begin(), documents.end(), begin,
                                   [](int64_t place, const IndexedDocument& d) {
                                     return place < d.first_token;
                                   });
  if (document != documents.begin()) --document;
  for (int number = 1;
       document != documents.end() && document->first_token < end;
       ++document, ++number) {
    const int64_t from = std::max(begin, document->first_token);
    const int64_t to =
        std::min(end, document->first_token + document->token_count);
    const std::vector<int32_t> tokens(stored.begin() + (from - begin),
                                      stored.begin() + (to - begin));
    const bool similar = document->similarity && number > 1;
    absl::StrAppendFormat(
        &out, "\n%3d  %-12s %s\n      %d of %d tokens, %s\n", number,
        document->domain,
        document->name.empty() ? document->id : document->name, to - from,
        document->token_count,
        similar ? absl::StrFormat("%.3f similar to the one above",
                                  *document->similarity)
        : from > document->first_token ? "began in another context"
                                       : "first of this context");
    absl::StrAppend(&out, FirstLines(tokenizer.Decode(tokens)));
  }
  return out;
}

}  // namespace

absl::StatusOr<std::string> InspectDataset(const std::string& path,
                                           std::optional<int64_t> sequence) {
  LORY_ASSIGN_OR_RETURN(const std::string manifest_path, ManifestPathOf(path));
  LORY_ASSIGN_OR_RETURN(
      const std::unique_ptr<data::Dataset> dataset,
      data::Dataset::Open(manifest_path, /*verify_hashes=*/false));
  const std::string folder = FolderOf(manifest_path);
  LORY_ASSIGN_OR_RETURN(
      const std::vector<IndexedDocument> documents,
      ReadDocumentIndex(absl::StrCat(folder, "/", kDocumentsFile)));
  if (!sequence) return Overview(*dataset, documents);
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<text::Tokenizer> tokenizer,
                        text::LoadTokenizer(absl::StrCat(
                            folder, "/", dataset->manifest().tokenizer_file)));
  return SequenceText(*dataset, *tokenizer, documents, *sequence);
}

}  // namespace lory::corpus
