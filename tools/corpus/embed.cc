#include "tools/corpus/embed.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace lory::corpus {
namespace {

constexpr int64_t kBlockBytes = 64 << 20;  // of vectors
constexpr int64_t kSlowBlock = 512;        // documents: at most minutes

// Documents of a block.
int64_t BlockSize(const Embedder& embedder) {
  const int64_t fit = kBlockBytes / (4 * int64_t{embedder.dimensions()});
  return std::max<int64_t>(
      1, embedder.is_slow() ? std::min(fit, kSlowBlock) : fit);
}

// Rows of a block, and the texts in it of which only the begin was taken.
struct Block {
  int64_t shortened = 0;
  std::vector<float> rows;
};

std::string ToBytes(const Block& block) {
  const absl::string_view rows = BytesOf(std::span<const float>(block.rows));
  std::string bytes(sizeof(block.shortened) + rows.size(), '\0');
  std::memcpy(bytes.data(), &block.shortened, sizeof(block.shortened));
  std::memcpy(bytes.data() + sizeof(block.shortened), rows.data(), rows.size());
  return bytes;
}

bool FromBytes(absl::string_view bytes, Block* block) {
  if (bytes.size() != sizeof(int64_t) + block->rows.size() * sizeof(float)) {
    return false;
  }
  std::memcpy(&block->shortened, bytes.data(), sizeof(int64_t));
  std::memcpy(block->rows.data(), bytes.data() + sizeof(int64_t),
              bytes.size() - sizeof(int64_t));
  return true;
}

// The stage while it runs.
class EmbedRun {
 public:
  EmbedRun(const DocumentStore& store, Embedder& embedder, KeptBlocks& kept,
           Progress& progress)
      : store_(store),
        embedder_(embedder),
        kept_(kept),
        progress_(progress),
        size_(BlockSize(embedder)),
        texts_{store.count(), [&store](int64_t i) { return store.TextOf(i); }} {
  }

  absl::StatusOr<StageResult> Run(const std::string& folder) {
    Begin();
    LORY_ASSIGN_OR_RETURN(
        const std::unique_ptr<io::FileWriter> writer,
        io::LocalStorage().Create(absl::StrCat(folder, "/", kVectorsFile)));
    for (int64_t number = 0; number * size_ < texts_.count; ++number) {
      LORY_ASSIGN_OR_RETURN(const Block block, BlockOf(number));
      LORY_RETURN_IF_ERROR(
          writer->Append(BytesOf(std::span<const float>(block.rows))));
      Count(block);
    }
    LORY_RETURN_IF_ERROR(writer->Commit());
    return Result();
  }

 private:
  int64_t EndOf(int64_t number) const {
    return std::min((number + 1) * size_, texts_.count);
  }

  void Begin() {
    int64_t kept = 0;
    int64_t kept_bytes = 0;
    for (int64_t number = 0; number * size_ < texts_.count; ++number) {
      if (!kept_.Has(number)) continue;
      kept += EndOf(number) - number * size_;
      for (int64_t i = number * size_; i < EndOf(number); ++i) {
        kept_bytes += store_.records()[i].text_bytes;
      }
    }
    if (kept > 0) {
      progress_.Say(absl::StrFormat(
          "embed      goes on: %d of %d documents were done before", kept,
          texts_.count));
    }
    const int64_t all = store_.TextBytes();
    progress_.Start(
        "embed", all - kept_bytes + (embedder_.reads_texts_before() ? all : 0),
        "bytes");
    embedder_.Prepare(texts_, [this](int64_t n) { progress_.Advance(n); });
  }

  absl::StatusOr<Block> BlockOf(int64_t number) {
    const int64_t begin = number * size_;
    const int64_t end = EndOf(number);
    Block block;
    block.rows.resize((end - begin) * embedder_.dimensions());
    const std::optional<std::string> before = kept_.Take(number);
    if (before.has_value() && FromBytes(*before, &block)) return block;
    LORY_ASSIGN_OR_RETURN(
        block.shortened,
        embedder_.Embed(texts_, begin, end, block.rows.data(),
                        [this](int64_t n) { progress_.Advance(n); }));
    if (embedder_.is_slow()) {
      LORY_RETURN_IF_ERROR(kept_.Keep(number, ToBytes(block)));
    }
    return block;
  }

  void Count(const Block& block) {
    shortened_ += block.shortened;
    const auto step = static_cast<size_t>(embedder_.dimensions());
    for (size_t at = 0; at < block.rows.size(); at += step) {
      const auto row = block.rows.begin() + static_cast<int64_t>(at);
      zeros_ += std::all_of(row, row + embedder_.dimensions(),
                            [](float value) { return value == 0; })
                    ? 1
                    : 0;
    }
  }

  StageResult Result() const {
    std::string summary = absl::StrFormat("%d vectors of %d numbers",
                                          texts_.count, embedder_.dimensions());
    if (zeros_ > 0) absl::StrAppendFormat(&summary, ", %d all zero", zeros_);
    if (shortened_ > 0) {
      absl::StrAppendFormat(&summary, ", %d of texts cut off", shortened_);
    }
    return StageResult{{kVectorsFile},
                       {{"vectors", static_cast<double>(texts_.count)},
                        {"zero_vectors", static_cast<double>(zeros_)},
                        {"shortened", static_cast<double>(shortened_)}},
                       std::move(summary)};
  }

  const DocumentStore& store_;
  Embedder& embedder_;
  KeptBlocks& kept_;
  Progress& progress_;
  const int64_t size_;  // documents of a block
  const Texts texts_;
  int64_t zeros_ = 0;
  int64_t shortened_ = 0;
};

}  // namespace

double Similarity(const float* a, const float* b, int32_t dimensions) {
  double sum = 0;
  for (int32_t i = 0; i < dimensions; ++i) {
    sum += static_cast<double>(a[i]) * b[i];
  }
  return sum;
}

void ToUnitLength(float* row, int32_t dimensions) {
  const double length = std::sqrt(Similarity(row, row, dimensions));
  if (length == 0) return;
  for (int32_t i = 0; i < dimensions; ++i) {
    row[i] = static_cast<float>(row[i] / length);
  }
}

absl::StatusOr<std::unique_ptr<Embedder>> OpenEmbedder(const CorpusSpec& spec) {
  if (spec.encoder.model.empty()) return MakeHashedTfIdf(spec.embed_dimensions);
  return OpenBertEmbedder(spec.encoder);
}

absl::StatusOr<StageResult> EmbedStore(const DocumentStore& store,
                                       Embedder& embedder, KeptBlocks& kept,
                                       const std::string& folder,
                                       Progress& progress) {
  return EmbedRun(store, embedder, kept, progress).Run(folder);
}

}  // namespace lory::corpus
