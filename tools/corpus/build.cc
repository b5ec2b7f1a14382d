#include "tools/corpus/build.h"

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/tokenizer.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/build_lock.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/embedder.h"
#include "tools/corpus/held_out.h"
#include "tools/corpus/ingest.h"
#include "tools/corpus/input_files.h"
#include "tools/corpus/kept_blocks.h"
#include "tools/corpus/mixture.h"
#include "tools/corpus/near_duplicates.h"
#include "tools/corpus/neighbors.h"
#include "tools/corpus/order.h"
#include "tools/corpus/output_guard.h"
#include "tools/corpus/pack.h"
#include "tools/corpus/stage.h"
#include "tools/corpus/tokenize.h"
#include "tools/corpus/tokenizer_stage.h"

namespace lory::corpus {
namespace {

constexpr char kEmbedStage[] = "embed";
constexpr std::array<const char*, 10> kStages = {
    "ingest",    "split",      "tokenizer", "tokenize", kEmbedStage,
    "neighbors", "duplicates", "mixture",   "order",    "pack"};

// Tokens are rarely longer than this: enough held-out bytes for a context.
constexpr int64_t kBytesPerToken = 8;

// The stages of one build. Each method runs one and keeps its record.
class Build {
 public:
  Build(const CorpusSpec& spec, const BuildOptions& options, Progress& progress)
      : spec_(spec),
        options_(options),
        progress_(progress),
        runner_(absl::StrCat(spec.output, "/stages"), options.redo, progress) {}

  bool redone() const { return runner_.redone(); }

  absl::StatusOr<std::string> Run(std::unique_ptr<Embedder> embedder) {
    LORY_RETURN_IF_ERROR(RunIngest());
    LORY_ASSIGN_OR_RETURN(const DocumentStore store,
                          DocumentStore::Open(ingest_.folder));
    LORY_RETURN_IF_ERROR(RunSplit(store));
    LORY_ASSIGN_OR_RETURN(
        const auto held_out,
        ArrayFile<uint8_t>::Open(split_.PathOf(kHeldOutFile)));
    LORY_RETURN_IF_ERROR(RunTokenizer(store, held_out.values()));
    LORY_RETURN_IF_ERROR(RunTokenize(store));
    LORY_RETURN_IF_ERROR(RunEmbed(store, *embedder));
    embedder.reset();
    LORY_ASSIGN_OR_RETURN(const auto vectors,
                          ArrayFile<float>::Open(embed_.PathOf(kVectorsFile)));
    LORY_RETURN_IF_ERROR(RunNeighbors(vectors.values(), held_out.values()));
    LORY_RETURN_IF_ERROR(
        RunDuplicates(store, vectors.values(), held_out.values()));
    LORY_RETURN_IF_ERROR(RunMixture(store, held_out.values()));
    LORY_RETURN_IF_ERROR(RunOrder(held_out.values()));
    LORY_RETURN_IF_ERROR(RunPack(store, vectors.values(), held_out.values()));
    return Summary();
  }

 private:
  absl::Status RunIngest() {
    Stage stage{.name = "ingest", .version = 3};
    for (size_t i = 0; i < spec_.inputs.size(); ++i) {
      const CorpusInput& input = spec_.inputs[i];
      // By content: a file that was only moved or touched is the same.
      LORY_ASSIGN_OR_RETURN(std::string hash, HashOf(input));
      stage.inputs.emplace_back(absl::StrCat("input-", i), std::move(hash));
      stage.options["domains"].push_back(input.domain);
      stage.options["text"].push_back(input.format == InputFormat::kText);
      stage.options["keys"].push_back(
          {input.keys.text, input.keys.id, input.keys.domain});
    }
    AddTokenFormatOptions(&stage);
    if (spec_.HasTokenInput()) {
      LORY_ASSIGN_OR_RETURN(std::string hash,
                            io::FileSha256Hex(spec_.tokenizer_file));
      stage.inputs.emplace_back("tokenizer_file", std::move(hash));
    }
    // One that cannot be read is found before hours of text are.
    std::unique_ptr<text::Tokenizer> tokenizer;
    if (!spec_.tokenizer_file.empty()) {
      LORY_ASSIGN_OR_RETURN(tokenizer, LoadForCorpus(spec_.tokenizer_file));
    }
    stage.run = [&](const std::string& folder) {
      return Ingest(spec_.inputs, spec_.max_errors, folder, progress_,
                    spec_.HasTokenInput() ? tokenizer.get() : nullptr);
    };
    LORY_ASSIGN_OR_RETURN(ingest_, runner_.Run(stage));
    return CheckBadLines();
  }

  // Of an ingestion that was allowed more of them. How many are allowed does
  // not change what comes out, and so does not redo it.
  absl::Status CheckBadLines() const {
    const int64_t bad = ingest_.Count("bad_lines");
    if (bad <= spec_.max_errors) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "ingest: ", bad, " bad lines, more than ", spec_.max_errors,
        " (max_errors); --redo ingest says which"));
  }

  // What else decides on the documents of inputs that are neither lines nor
  // text; builds of those alone stay as they were.
  void AddTokenFormatOptions(Stage* stage) const {
    for (size_t i = 0; i < spec_.inputs.size(); ++i) {
      const CorpusInput& input = spec_.inputs[i];
      const bool is_mds = input.format == InputFormat::kMds;
      if (!is_mds && input.format != InputFormat::kMegatron) continue;
      stage->options[absl::StrCat("samples-", i)] = {
          {"version", 3},  // of how they are taken apart
          {"format", is_mds ? "mds" : "megatron"},
          {"tokens_key", input.keys.tokens},
          {"tokens_type",
           input.token_type ? std::string(NameOf(*input.token_type)) : ""}};
    }
  }

  absl::Status RunSplit(const DocumentStore& store) {
    const HeldOutOptions options = {
        .fraction = spec_.held_out_fraction,
        .seed = spec_.seed,
        .min_bytes = (spec_.sequence_length + 1) * kBytesPerToken,
        .domains = spec_.holdout_domains};
    Stage stage{.name = "split"};
    stage.options = {{"fraction", options.fraction},
                     {"seed", options.seed},
                     {"min_bytes", options.min_bytes},
                     {"domains", options.domains}};
    stage.inputs = {{"ingest", ingest_.OutputHash()}};
    stage.run = [&](const std::string& folder) {
      return spec_.At("holdout_domains", SplitHeldOut(store, options, folder));
    };
    LORY_ASSIGN_OR_RETURN(split_, runner_.Run(stage));
    return absl::OkStatus();
  }

  absl::Status RunTokenizer(const DocumentStore& store,
                            std::span<const uint8_t> held_out) {
    Stage stage{.name = "tokenizer", .version = 2};
    if (!spec_.tokenizer_file.empty()) {
      LORY_ASSIGN_OR_RETURN(std::string hash,
                            io::FileSha256Hex(spec_.tokenizer_file));
      stage.options["load"] = true;
      stage.inputs = {{"file", std::move(hash)}};
      stage.run = [&](const std::string& folder) {
        return TakeTokenizer(spec_.tokenizer_file, folder);
      };
    } else {
      stage.options = {{"vocabulary_size", spec_.vocabulary_size},
                       {"training_mb", spec_.tokenizer_megabytes}};
      const bool of_pieces = spec_.tokenizer_kind == kSentencePieceBpe;
      if (of_pieces) {
        stage.version = 3;
        stage.options["kind"] = spec_.tokenizer_kind;
      }
      stage.inputs = {{"ingest", ingest_.OutputHash()},
                      {"split", split_.OutputHash()}};
      stage.run = [&, of_pieces](const std::string& folder) {
        const auto train =
            of_pieces ? TrainSentencePieceTokenizer : TrainTokenizer;
        return spec_.At("tokenizer.vocabulary_size",
                        train(store, held_out, spec_.vocabulary_size,
                              spec_.tokenizer_megabytes, folder, progress_));
      };
    }
    LORY_ASSIGN_OR_RETURN(tokenizer_, runner_.Run(stage));
    return absl::OkStatus();
  }

  // The one file of its stage.
  std::string TokenizerFile() const {
    return tokenizer_.PathOf(tokenizer_.outputs.front().file);
  }

  absl::Status RunTokenize(const DocumentStore& store) {
    Stage stage{.name = "tokenize", .version = 3};
    stage.inputs = {{"ingest", ingest_.OutputHash()},
                    {"tokenizer", tokenizer_.OutputHash()}};
    stage.run = [&](const std::string& folder) -> absl::StatusOr<StageResult> {
      LORY_ASSIGN_OR_RETURN(const std::unique_ptr<text::Tokenizer> tokenizer,
                            text::LoadTokenizer(TokenizerFile()));
      if (!spec_.HasTokenInput()) {
        return Tokenize(store, *tokenizer, folder, progress_);
      }
      LORY_ASSIGN_OR_RETURN(const TokenStore given,
                            TokenStore::Open(ingest_.folder));
      return Tokenize(store, *tokenizer, folder, progress_, &given);
    };
    LORY_ASSIGN_OR_RETURN(tokenize_, runner_.Run(stage));
    return absl::OkStatus();
  }

  absl::Status RunEmbed(const DocumentStore& store, Embedder& embedder) {
    Stage stage{.name = kEmbedStage, .version = 2};
    stage.options = embedder.options();
    stage.inputs = embedder.inputs();
    stage.inputs.emplace_back("ingest", ingest_.OutputHash());
    // Beside the stage's folder, which is emptied when it runs again.
    const std::string kept_folder =
        absl::StrCat(spec_.output, "/stages/embed-blocks");
    if (options_.redo == kEmbedStage) {
      LORY_RETURN_IF_ERROR(io::LocalStorage().Remove(kept_folder));
    }
    stage.run = [&](const std::string& folder) -> absl::StatusOr<StageResult> {
      LORY_ASSIGN_OR_RETURN(
          KeptBlocks kept, KeptBlocks::Open(kept_folder, FingerprintOf(stage)));
      return EmbedStore(store, embedder, kept, folder, progress_);
    };
    LORY_ASSIGN_OR_RETURN(embed_, runner_.Run(stage));
    return io::LocalStorage().Remove(kept_folder);
  }

  absl::Status RunNeighbors(std::span<const float> vectors,
                            std::span<const uint8_t> held_out) {
    Stage stage{.name = "neighbors", .version = 3};
    NeighborOptions options = spec_.neighbors;
    options.seed = spec_.seed;
    stage.options = StageOptionsOf(options, ToTrain());
    stage.options["dimensions"] = spec_.embed_dimensions;
    stage.inputs = {{"embed", embed_.OutputHash()},
                    {"split", split_.OutputHash()}};
    stage.run = [&, options](const std::string& folder) {
      return Neighbors(vectors, held_out, spec_.embed_dimensions, options,
                       folder, progress_);
    };
    SayWhatIsNotUsed();
    LORY_ASSIGN_OR_RETURN(neighbors_, runner_.Run(stage));
    return absl::OkStatus();
  }

  // `auto` knows only now that it needs no lists.
  void SayWhatIsNotUsed() {
    if (!IsExact(spec_.neighbors, ToTrain())) return;
    const NeighborOptions& given = spec_.neighbors;
    const NeighborOptions usual;
    for (const auto& [key, is_wanted] :
         {std::pair{"neighbors.lists", given.lists != usual.lists},
          {"neighbors.probes", given.probes != usual.probes},
          {"neighbors.recall", given.recall != usual.recall},
          {"neighbors.recall_sample",
           given.recall_sample != usual.recall_sample}}) {
      if (!is_wanted) continue;
      progress_.Say(absl::StrCat(
          spec_.PlaceOf(key), ": is not used: up to ", kMostExact,
          " documents are searched exactly, and there are ", ToTrain(),
          " to train; method: ivf would search by lists"));
    }
  }

  int64_t ToTrain() const {
    return embed_.Count("vectors") - split_.Count("held_out");
  }

  // Products of vectors of any length say little about near copies: the longest
  // vectors are everybody's neighbours. Then lists by the cosine propose them.
  std::optional<NeighborOptions> OwnProposals() const {
    const bool any_length =
        !spec_.encoder.model.empty() && !spec_.encoder.normalize;
    if (!any_length || spec_.neighbors.metric == Metric::kCosine ||
        spec_.near_duplicate >= 1) {
      return std::nullopt;
    }
    NeighborOptions options = spec_.neighbors;
    options.metric = Metric::kCosine;
    options.seed = spec_.seed;
    return options;
  }

  // Lists made in `folder` are gone when nobody reads them any more.
  absl::StatusOr<ArrayFile<Neighbor>> ProposalsOf(
      const std::optional<NeighborOptions>& own, std::span<const float> vectors,
      std::span<const uint8_t> held_out, const std::string& folder) {
    if (!own) {
      return ArrayFile<Neighbor>::Open(neighbors_.PathOf(kNeighborsFile));
    }
    LORY_RETURN_IF_ERROR(Neighbors(vectors, held_out, spec_.embed_dimensions,
                                   *own, folder, progress_)
                             .status());
    const std::string path = absl::StrCat(folder, "/", kNeighborsFile);
    LORY_ASSIGN_OR_RETURN(auto lists, ArrayFile<Neighbor>::Open(path));
    LORY_RETURN_IF_ERROR(io::LocalStorage().Remove(path));
    return lists;
  }

  absl::Status RunDuplicates(const DocumentStore& store,
                             std::span<const float> vectors,
                             std::span<const uint8_t> held_out) {
    const NearLimits options = {.similarity = spec_.near_duplicate,
                                .overlap = spec_.shingle_overlap,
                                .index_bytes = spec_.neighbors.memory_mb << 20};
    Stage stage{.name = "duplicates", .version = 4};
    stage.options = {{"similarity", options.similarity},
                     {"overlap", options.overlap},
                     {"k", spec_.neighbors.k}};
    const std::optional<NeighborOptions> by_cosine = OwnProposals();
    std::vector<std::pair<const char*, const StageRecord*>> read = {
        {"ingest", &ingest_}, {"split", &split_}, {"embed", &embed_}};
    if (by_cosine) {
      stage.options["proposals"] = StageOptionsOf(*by_cosine, ToTrain());
    } else {
      read.emplace_back("neighbors", &neighbors_);
    }
    for (const auto& [name, record] : read) {
      stage.inputs.emplace_back(name, record->OutputHash());
    }
    stage.run = [&](const std::string& folder) -> absl::StatusOr<StageResult> {
      LORY_ASSIGN_OR_RETURN(const auto neighbors,
                            ProposalsOf(by_cosine, vectors, held_out, folder));
      const NearDuplicateInputs inputs = {.store = store,
                                          .vectors = vectors,
                                          .dimensions = spec_.embed_dimensions,
                                          .held_out = held_out,
                                          .neighbors = neighbors.values(),
                                          .k = spec_.neighbors.k};
      return spec_.At("neighbors.shingle_overlap",
                      DropNearDuplicates(inputs, options, folder, progress_));
    };
    LORY_ASSIGN_OR_RETURN(duplicates_, runner_.Run(stage));
    return absl::OkStatus();
  }

  absl::Status RunMixture(const DocumentStore& store,
                          std::span<const uint8_t> held_out) {
    Stage stage{.name = "mixture"};
    stage.options = {{"weights", spec_.mixture}, {"seed", spec_.seed}};
    stage.inputs = {{"ingest", ingest_.OutputHash()},
                    {"split", split_.OutputHash()},
                    {"duplicates", duplicates_.OutputHash()}};
    // Without weights it does not matter how long a document is.
    if (!spec_.mixture.empty()) {
      stage.inputs.emplace_back("tokenize", tokenize_.OutputHash());
    }
    stage.run = [&](const std::string& folder) -> absl::StatusOr<StageResult> {
      LORY_ASSIGN_OR_RETURN(const TokenStore tokens,
                            TokenStore::Open(tokenize_.folder));
      LORY_ASSIGN_OR_RETURN(
          const auto dropped,
          ArrayFile<uint8_t>::Open(duplicates_.PathOf(kDroppedFile)));
      return spec_.At("mixture",
                      MixDomains(store, tokens, held_out, dropped.values(),
                                 spec_.mixture, spec_.seed, folder));
    };
    LORY_ASSIGN_OR_RETURN(mixture_, runner_.Run(stage));
    return absl::OkStatus();
  }

  absl::Status RunOrder(std::span<const uint8_t> held_out) {
    const OrderOptions options = {.order = spec_.order,
                                  .neighbor_count = spec_.neighbors.k,
                                  .graph = spec_.graph,
                                  .seed = spec_.seed};
    for (const auto& [key, what] : WhatIsNotUsed(options)) {
      progress_.Say(absl::StrCat(spec_.PlaceOf(key), ": ", what));
    }
    Stage stage{.name = "order", .version = 2};
    stage.options = {{"order", std::string(NameOf(spec_.order))},
                     {"k", options.neighbor_count},
                     {"seed", options.seed}};
    // Other orders know no graph.
    if (spec_.order == DocumentOrder::kSimilarity &&
        spec_.graph == Graph::kDirected) {
      stage.options["graph"] = "directed";
    }
    stage.inputs = {{"neighbors", neighbors_.OutputHash()},
                    {"mixture", mixture_.OutputHash()},
                    {"split", split_.OutputHash()}};
    stage.run = [&](const std::string& folder) -> absl::StatusOr<StageResult> {
      LORY_ASSIGN_OR_RETURN(
          const auto neighbors,
          ArrayFile<Neighbor>::Open(neighbors_.PathOf(kNeighborsFile)));
      LORY_ASSIGN_OR_RETURN(
          const auto copies,
          ArrayFile<uint8_t>::Open(mixture_.PathOf(kCopiesFile)));
      return OrderDocuments(neighbors.values(), held_out, copies.values(),
                            options, folder, progress_);
    };
    LORY_ASSIGN_OR_RETURN(order_, runner_.Run(stage));
    return absl::OkStatus();
  }

  absl::Status RunPack(const DocumentStore& store,
                       std::span<const float> vectors,
                       std::span<const uint8_t> held_out) {
    Stage stage{.name = "pack", .version = 2};
    stage.folder = spec_.output;
    stage.options = {{"name", spec_.name},
                     {"order", std::string(NameOf(spec_.order))},
                     {"seed", spec_.seed},
                     {"sequence_length", spec_.sequence_length},
                     {"shard_mb", spec_.shard_megabytes}};
    for (const auto& [name, record] : {std::pair{"ingest", &ingest_},
                                       {"split", &split_},
                                       {"tokenizer", &tokenizer_},
                                       {"tokenize", &tokenize_},
                                       {"embed", &embed_},
                                       {"order", &order_}}) {
      stage.inputs.emplace_back(name, record->OutputHash());
    }
    stage.run = [&](const std::string& folder) -> absl::StatusOr<StageResult> {
      LORY_ASSIGN_OR_RETURN(const TokenStore tokens,
                            TokenStore::Open(tokenize_.folder));
      LORY_ASSIGN_OR_RETURN(const auto order, ArrayFile<int32_t>::Open(
                                                  order_.PathOf(kOrderFile)));
      return Pack({.spec = spec_,
                   .store = store,
                   .tokens = tokens,
                   .vectors = vectors,
                   .held_out = held_out,
                   .order = order.values(),
                   .tokenizer_path = TokenizerFile(),
                   .vocabulary_size = tokenizer_.Count("vocabulary_size")},
                  folder, progress_);
    };
    LORY_ASSIGN_OR_RETURN(pack_, runner_.Run(stage));
    return absl::OkStatus();
  }

  std::string Summary() const {
    return absl::StrFormat(
        "dataset     %s\n"
        "manifest    %s\n"
        "documents   %d to train, %d held out, %d near duplicates dropped\n"
        "tokens      %d in %d sequences of %d\n"
        "similarity  %.3f between neighbours (%.3f in random order)\n",
        spec_.name, pack_.PathOf(kManifestFile), order_.Count("documents"),
        split_.Count("held_out"), duplicates_.Count("near_duplicates"),
        pack_.Count("tokens"), pack_.Count("sequences"),
        spec_.sequence_length + 1, pack_.figures.at("neighbor_similarity"),
        pack_.figures.at("random_similarity"));
  }

  const CorpusSpec& spec_;
  const BuildOptions& options_;
  Progress& progress_;
  StageRunner runner_;
  StageRecord ingest_, split_, tokenizer_, tokenize_, embed_, neighbors_,
      duplicates_, mixture_, order_, pack_;
};

}  // namespace

bool IsStageName(absl::string_view name) {
  return std::find(kStages.begin(), kStages.end(), name) != kStages.end();
}

std::string StageNames() { return absl::StrJoin(kStages, ", "); }

absl::StatusOr<std::string> BuildDataset(const CorpusSpec& spec,
                                         const BuildOptions& options,
                                         Progress& progress) {
  LORY_RETURN_IF_ERROR(CheckOutput(spec));
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<BuildLock> lock,
                        BuildLock::Take(spec.output));
  // What a build writes it does not read.
  CorpusSpec with_left_out = spec;
  for (CorpusInput& input : with_left_out.inputs) input.left_out = spec.output;
  BuildOptions round = options;
  for (size_t i = 0;; ++i) {
    // What is wrong with a model is found before hours of text are read.
    LORY_ASSIGN_OR_RETURN(std::unique_ptr<Embedder> embedder,
                          OpenEmbedder(spec));
    with_left_out.embed_dimensions = embedder->dimensions();
    Build build(with_left_out, round, progress);
    auto summary = build.Run(std::move(embedder));
    if (build.redone()) round.redo.clear();
    if (!absl::IsAborted(summary.status()) || i == kStages.size()) {
      return summary;
    }
    progress.Say(summary.status().message());
  }
}

}  // namespace lory::corpus
