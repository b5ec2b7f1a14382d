#include "tools/corpus/verify.h"

#include <memory>
#include <span>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "common/data/dataset.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/dataset_view.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/pack.h"

namespace lory::corpus {
namespace {

absl::Status CheckManifest(const data::DatasetManifest& manifest,
                           const text::Tokenizer& tokenizer,
                           const std::vector<IndexedDocument>& documents) {
  if (tokenizer.vocabulary_size() != manifest.vocabulary_size) {
    return absl::DataLossError(
        absl::StrCat("the tokenizer has ", tokenizer.vocabulary_size(),
                     " tokens, the manifest says ", manifest.vocabulary_size));
  }
  const int64_t tokens =
      manifest.SequenceCount() * (manifest.sequence_length + 1);
  if (tokens != manifest.token_count) {
    return absl::DataLossError(absl::StrCat("the shards hold ", tokens,
                                            " tokens, the manifest says ",
                                            manifest.token_count));
  }
  if (static_cast<int64_t>(documents.size()) != manifest.document_count) {
    return absl::DataLossError(absl::StrCat(
        kDocumentsFile, " has ", documents.size(),
        " documents, the manifest says ", manifest.document_count));
  }
  absl::flat_hash_map<absl::string_view, int64_t> passes;
  for (const IndexedDocument& document : documents) {
    const int64_t pass = passes[document.id]++;
    if (document.pass != pass) {
      return absl::DataLossError(absl::StrCat(
          "document ", document.id, " is there twice: it came ", pass,
          " times before, and should ", document.pass, " times"));
    }
  }
  return absl::OkStatus();
}

// A dataset of an older build has no such file.
absl::Status CheckSequenceIndex(const data::DatasetManifest& manifest,
                                const std::string& path) {
  const auto found = ArrayFile<int64_t>::Open(path);
  if (absl::IsNotFound(found.status())) return absl::OkStatus();
  LORY_RETURN_IF_ERROR(found.status());
  const std::span<const int64_t> first_tokens = found->values();
  const int64_t count = manifest.SequenceCount();
  if (static_cast<int64_t>(first_tokens.size()) != count) {
    return absl::DataLossError(absl::StrCat(path, " has ", first_tokens.size(),
                                            " sequences, the shards have ",
                                            count));
  }
  const int64_t context = manifest.sequence_length + 1;
  for (int64_t i = 0; i < count; ++i) {
    const int64_t token = PackedPlaceOf(manifest.seed, count, i) * context;
    if (first_tokens[i] == token) continue;
    return absl::DataLossError(absl::StrCat(path, " says that sequence ", i,
                                            " begins at token ",
                                            first_tokens[i], ", not ", token));
  }
  return absl::OkStatus();
}

// Walks the contexts in packed order, where documents follow each other.
absl::Status CheckTokens(const data::Dataset& dataset,
                         const text::Tokenizer& tokenizer,
                         const std::vector<IndexedDocument>& documents,
                         Progress& progress) {
  const data::DatasetManifest& manifest = dataset.manifest();
  const int64_t context = manifest.sequence_length + 1;
  const int64_t count = dataset.sequence_count();
  std::vector<int64_t> stored_at(count);
  for (int64_t i = 0; i < count; ++i) {
    stored_at[PackedPlaceOf(manifest.seed, count, i)] = i;
  }
  std::vector<int64_t> tokens(context);
  size_t document = 0;
  for (int64_t place = 0; place < count; ++place) {
    LORY_RETURN_IF_ERROR(dataset.Read(stored_at[place], tokens));
    for (int64_t i = 0; i < context; ++i) {
      const int64_t here = place * context + i;
      while (document < documents.size() &&
             here >= documents[document].first_token +
                         documents[document].token_count) {
        ++document;
      }
      const bool last = document < documents.size() &&
                        here + 1 == documents[document].first_token +
                                        documents[document].token_count;
      if (last != (tokens[i] == tokenizer.end_of_document_id())) {
        return absl::DataLossError(absl::StrCat(
            "sequence ", stored_at[place], ", token ", i,
            last ? ": a document should end here" : ": an end mark inside",
            document < documents.size()
                ? absl::StrCat(" (", documents[document].id, ")")
                : ""));
      }
    }
    progress.Advance(context);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::string> VerifyDataset(const std::string& path,
                                          Progress& progress) {
  LORY_ASSIGN_OR_RETURN(const std::string manifest_path, ManifestPathOf(path));
  const std::string folder = FolderOf(manifest_path);
  LORY_ASSIGN_OR_RETURN(
      const std::unique_ptr<data::Dataset> dataset,
      data::Dataset::Open(manifest_path, /*verify_hashes=*/true));
  const data::DatasetManifest& manifest = dataset->manifest();
  LORY_ASSIGN_OR_RETURN(
      const std::unique_ptr<text::Tokenizer> tokenizer,
      text::LoadTokenizer(absl::StrCat(folder, "/", manifest.tokenizer_file)));
  LORY_ASSIGN_OR_RETURN(
      const std::vector<IndexedDocument> documents,
      ReadDocumentIndex(absl::StrCat(folder, "/", kDocumentsFile)));
  LORY_RETURN_IF_ERROR(CheckManifest(manifest, *tokenizer, documents));
  LORY_RETURN_IF_ERROR(
      CheckSequenceIndex(manifest, absl::StrCat(folder, "/", kSequencesFile)));
  progress.Start("verify", manifest.token_count, "tokens");
  LORY_RETURN_IF_ERROR(CheckTokens(*dataset, *tokenizer, documents, progress));
  return absl::StrFormat(
      "%s is sound: %d documents, %d sequences, %d shards, %d held-out "
      "domains\n",
      manifest.name, manifest.document_count, manifest.SequenceCount(),
      manifest.shards.size(), manifest.held_out.size());
}

}  // namespace lory::corpus
