#include "tools/corpus/pack.h"

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/data/dataset_manifest.h"
#include "common/data/sequence_order.h"
#include "common/data/shard_file.h"
#include "common/io/storage.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/cosine.h"
#include "tools/corpus/document_index.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/output_guard.h"
#include "tools/corpus/tokenizer_stage.h"
#include "tools/corpus/walk.h"

namespace lory::corpus {
namespace {

// Keeps this permutation apart from those of the epochs.
constexpr uint64_t kShuffleKey = 0x73687566666c65u;  // "shuffle"
constexpr size_t kWrittenAtOnce = 1 << 13;           // places of sequences

// Writes contexts [first, first + count) of the stream, in the order that
// `place_of` gives, as one shard.
template <typename PlaceOf>
absl::StatusOr<data::ShardEntry> WriteShard(
    const std::string& prefix, const TokenStream& stream, int64_t context,
    int64_t vocabulary_size, int64_t first, int64_t count,
    const PlaceOf& place_of, Progress& progress) {
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<data::ShardWriter> writer,
      data::ShardWriter::Create(prefix, static_cast<int32_t>(context),
                                vocabulary_size));
  std::vector<int32_t> tokens(context);
  for (int64_t i = first; i < first + count; ++i) {
    stream.Copy(place_of(i) * context, tokens);
    LORY_RETURN_IF_ERROR(writer->Append(tokens));
    progress.Advance(context);
  }
  return writer->Finish();
}

absl::Status WriteTraining(const PackInputs& inputs, const TokenStream& stream,
                           const std::string& folder, Progress& progress,
                           data::DatasetManifest* manifest) {
  const int64_t context = inputs.spec.sequence_length + 1;
  const int64_t sequences = stream.size() / context;
  const int64_t token_bytes = inputs.vocabulary_size <= 65536 ? 2 : 4;
  const int64_t per_shard = std::max<int64_t>(
      1, inputs.spec.shard_megabytes * 1'000'000 / (context * token_bytes));
  const auto place_of = [&](int64_t stored) {
    return PackedPlaceOf(inputs.spec.seed, sequences, stored);
  };
  for (int64_t first = 0; first < sequences; first += per_shard) {
    const std::string prefix =
        absl::StrFormat("%s/%s%05d", folder, kTrainPrefix,
                        static_cast<int>(manifest->shards.size()));
    LORY_ASSIGN_OR_RETURN(
        data::ShardEntry entry,
        WriteShard(prefix, stream, context, inputs.vocabulary_size, first,
                   std::min(per_shard, sequences - first), place_of, progress));
    manifest->shards.push_back(std::move(entry));
  }
  manifest->token_count = sequences * context;
  return absl::OkStatus();
}

// A shard for every domain whose held-out text fills a context.
absl::Status WriteHeldOut(const PackInputs& inputs, const std::string& folder,
                          Progress& progress, data::DatasetManifest* manifest) {
  const int64_t context = inputs.spec.sequence_length + 1;
  std::map<std::string, std::vector<int32_t>> domains;
  for (size_t i = 0; i < inputs.held_out.size(); ++i) {
    if (!inputs.held_out[i]) continue;
    domains[inputs.store.domains()[inputs.store.records()[i].domain]].push_back(
        static_cast<int32_t>(i));
  }
  for (const auto& [domain, documents] : domains) {
    const TokenStream stream(inputs.tokens, documents);
    if (stream.size() < context) {
      progress.Say(absl::StrCat(
          "domain ", domain, " has ", stream.size(),
          " held-out tokens, less than one context: it will not be evaluated "
          "(raise held_out.fraction or lower sequence_length)"));
      continue;
    }
    LORY_ASSIGN_OR_RETURN(
        data::ShardEntry entry,
        WriteShard(
            absl::StrCat(folder, "/", kHeldOutPrefix, domain), stream, context,
            inputs.vocabulary_size, 0, stream.size() / context,
            [](int64_t i) { return i; }, progress));
    const auto& out = inputs.spec.holdout_domains;
    manifest->held_out.push_back(
        {.domain = domain,
         .shard = std::move(entry),
         .kept_out = std::find(out.begin(), out.end(), domain) != out.end()});
  }
  return absl::OkStatus();
}

// What the permutation did, so that nobody need compute it to find a document.
absl::Status WriteSequenceIndex(const PackInputs& inputs, int64_t sequences,
                                const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(auto writer, ArrayWriter<int64_t>::Create(absl::StrCat(
                                         folder, "/", kSequencesFile)));
  const int64_t context = inputs.spec.sequence_length + 1;
  std::vector<int64_t> first_tokens;
  for (int64_t i = 0; i < sequences; ++i) {
    first_tokens.push_back(PackedPlaceOf(inputs.spec.seed, sequences, i) *
                           context);
    if (first_tokens.size() < kWrittenAtOnce && i + 1 < sequences) continue;
    LORY_RETURN_IF_ERROR(writer.Append(first_tokens));
    first_tokens.clear();
  }
  return writer.Finish();
}

absl::Status WriteDocumentIndex(const PackInputs& inputs,
                                const TokenStream& stream,
                                const std::string& folder) {
  LORY_ASSIGN_OR_RETURN(
      std::unique_ptr<io::FileWriter> writer,
      io::LocalStorage().Create(absl::StrCat(folder, "/", kDocumentsFile)));
  const int32_t dimensions = inputs.spec.embed_dimensions;
  std::vector<uint8_t> passes(inputs.store.count());
  for (size_t i = 0; i < inputs.order.size(); ++i) {
    const int32_t document = inputs.order[i];
    const DocumentRecord& record = inputs.store.records()[document];
    IndexedDocument entry;
    entry.id = ToHex(record.id);
    entry.name = std::string(inputs.store.NameOf(document));
    entry.domain = inputs.store.domains()[record.domain];
    entry.pass = passes[document]++;
    entry.first_token = stream.BeginOf(static_cast<int64_t>(i));
    entry.token_count =
        stream.BeginOf(static_cast<int64_t>(i) + 1) - entry.first_token;
    if (i > 0) {
      entry.similarity = Cosine(
          inputs.vectors.data() + int64_t{inputs.order[i - 1]} * dimensions,
          inputs.vectors.data() + int64_t{document} * dimensions, dimensions);
    }
    LORY_RETURN_IF_ERROR(writer->Append(SerializeIndexedDocument(entry)));
  }
  return writer->Commit();
}

absl::Status WriteTokenizer(const PackInputs& inputs, const std::string& folder,
                            data::DatasetManifest* manifest) {
  io::Storage& storage = io::LocalStorage();
  LORY_ASSIGN_OR_RETURN(const std::string bytes,
                        storage.Read(inputs.tokenizer_path));
  manifest->tokenizer_file = text::TokenizerFileName(bytes);
  manifest->tokenizer_sha256 = Sha256Hex(bytes);
  // One of the other kind would be of an earlier build.
  for (const char* name : {kTokenizerFile, kSentencePieceFile}) {
    if (name == manifest->tokenizer_file) continue;
    LORY_RETURN_IF_ERROR(storage.Remove(absl::StrCat(folder, "/", name)));
  }
  return storage.Write(absl::StrCat(folder, "/", manifest->tokenizer_file),
                       bytes);
}

StageResult ResultOf(const data::DatasetManifest& manifest,
                     const TokenStream& stream, double random_similarity) {
  StageResult result;
  for (const data::ShardEntry& shard : manifest.shards) {
    result.files.push_back(shard.file + ".bin");
    result.files.push_back(shard.file + ".idx");
  }
  for (const data::HeldOutEntry& entry : manifest.held_out) {
    result.files.push_back(entry.shard.file + ".bin");
    result.files.push_back(entry.shard.file + ".idx");
  }
  result.files.push_back(manifest.tokenizer_file);
  result.files.push_back(kDocumentsFile);
  result.files.push_back(kSequencesFile);
  result.files.push_back(kManifestFile);
  const int64_t tail = stream.size() - manifest.token_count;
  result.figures = {
      {"sequences", static_cast<double>(manifest.SequenceCount())},
      {"tokens", static_cast<double>(manifest.token_count)},
      {"tail_tokens", static_cast<double>(tail)},
      {"neighbor_similarity", manifest.neighbor_similarity},
      {"random_similarity", random_similarity}};
  result.summary = absl::StrFormat(
      "%d sequences of %d tokens, %d left over; neighbours %.3f similar, "
      "%.3f at random",
      manifest.SequenceCount(), manifest.sequence_length + 1, tail,
      manifest.neighbor_similarity, random_similarity);
  return result;
}

}  // namespace

TokenStream::TokenStream(const TokenStore& tokens,
                         std::span<const int32_t> documents)
    : tokens_(tokens), documents_(documents) {
  begins_.push_back(0);
  for (const int32_t document : documents) {
    begins_.push_back(begins_.back() +
                      static_cast<int64_t>(tokens.Of(document).size()));
  }
}

void TokenStream::Copy(int64_t begin, std::span<int32_t> out) const {
  LORY_CHECK(begin >= 0 && begin + static_cast<int64_t>(out.size()) <= size());
  auto place = std::upper_bound(begins_.begin(), begins_.end(), begin) - 1;
  size_t done = 0;
  while (done < out.size()) {
    const std::span<const int32_t> document =
        tokens_.Of(documents_[place - begins_.begin()]);
    const size_t skip =
        static_cast<size_t>(begin + static_cast<int64_t>(done) - *place);
    const size_t count = std::min(document.size() - skip, out.size() - done);
    std::copy_n(document.begin() + static_cast<int64_t>(skip), count,
                out.begin() + static_cast<int64_t>(done));
    done += count;
    ++place;
  }
}

int64_t PackedPlaceOf(uint64_t seed, int64_t sequence_count, int64_t stored) {
  return data::SequenceOrder(Mix64(seed + kShuffleKey), 0, sequence_count)
      .At(stored);
}

double MeanNeighborSimilarity(const TokenStream& stream,
                              std::span<const int32_t> documents,
                              std::span<const float> vectors,
                              int32_t dimensions, int64_t context) {
  const int64_t kept = stream.size() / context * context;
  double sum = 0;
  int64_t pairs = 0;
  for (size_t i = 1; i < documents.size(); ++i) {
    const int64_t boundary = stream.BeginOf(static_cast<int64_t>(i));
    if (boundary >= kept || boundary % context == 0) continue;
    sum +=
        Cosine(vectors.data() + int64_t{documents[i - 1]} * dimensions,
               vectors.data() + int64_t{documents[i]} * dimensions, dimensions);
    ++pairs;
  }
  return pairs == 0 ? 0 : sum / static_cast<double>(pairs);
}

absl::StatusOr<StageResult> Pack(const PackInputs& inputs,
                                 const std::string& folder,
                                 Progress& progress) {
  LORY_RETURN_IF_ERROR(RemoveOldDataset(folder));
  const CorpusSpec& spec = inputs.spec;
  const int64_t context = spec.sequence_length + 1;
  const TokenStream stream(inputs.tokens, inputs.order);
  if (stream.size() < context) {
    return absl::FailedPreconditionError(
        absl::StrCat("all documents together have ", stream.size(),
                     " tokens, less than one context of ", context,
                     ": add text or lower sequence_length"));
  }
  progress.Start("pack", stream.size(), "tokens");
  data::DatasetManifest manifest;
  manifest.name = spec.name;
  manifest.order = std::string(NameOf(spec.order));
  manifest.seed = spec.seed;
  manifest.sequence_length = spec.sequence_length;
  manifest.vocabulary_size = inputs.vocabulary_size;
  manifest.document_count = static_cast<int64_t>(inputs.order.size());
  manifest.neighbor_similarity = MeanNeighborSimilarity(
      stream, inputs.order, inputs.vectors, spec.embed_dimensions, context);
  LORY_RETURN_IF_ERROR(
      WriteTraining(inputs, stream, folder, progress, &manifest));
  LORY_RETURN_IF_ERROR(WriteHeldOut(inputs, folder, progress, &manifest));
  LORY_RETURN_IF_ERROR(WriteDocumentIndex(inputs, stream, folder));
  LORY_RETURN_IF_ERROR(
      WriteSequenceIndex(inputs, manifest.SequenceCount(), folder));
  LORY_RETURN_IF_ERROR(WriteTokenizer(inputs, folder, &manifest));
  LORY_RETURN_IF_ERROR(
      io::LocalStorage().Write(absl::StrCat(folder, "/", kManifestFile),
                               data::SerializeDatasetManifest(manifest)));

  std::vector<int32_t> shuffled =
      WalkRandomly(std::vector<uint8_t>(inputs.order.size()), spec.seed).order;
  for (int32_t& place : shuffled) place = inputs.order[place];
  const double random_similarity =
      MeanNeighborSimilarity(TokenStream(inputs.tokens, shuffled), shuffled,
                             inputs.vectors, spec.embed_dimensions, context);
  return ResultOf(manifest, stream, random_similarity);
}

}  // namespace lory::corpus
