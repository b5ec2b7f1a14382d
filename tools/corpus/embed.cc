#include "tools/corpus/embed.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "tools/corpus/parallel.h"
#include "tools/corpus/words.h"

namespace lory::corpus {
namespace {

constexpr int64_t kEmbedGrain = 32;           // documents
constexpr size_t kBuckets = size_t{1} << 21;  // of document counts

struct Term {
  uint64_t hash = 0;
  int32_t count = 0;
};

// The words of `text` with their counts, by hash.
std::vector<Term> TermsOf(absl::string_view text) {
  std::vector<uint64_t> hashes = WordHashesOf(text);
  std::sort(hashes.begin(), hashes.end());
  std::vector<Term> terms;
  for (const uint64_t hash : hashes) {
    if (terms.empty() || terms.back().hash != hash) terms.push_back({hash, 0});
    ++terms.back().count;
  }
  return terms;
}

void Normalize(float* row, int32_t dimensions) {
  const double length = std::sqrt(Similarity(row, row, dimensions));
  if (length == 0) return;
  for (int32_t i = 0; i < dimensions; ++i) {
    row[i] = static_cast<float>(row[i] / length);
  }
}

}  // namespace

double Similarity(const float* a, const float* b, int32_t dimensions) {
  double sum = 0;
  for (int32_t i = 0; i < dimensions; ++i) {
    sum += static_cast<double>(a[i]) * b[i];
  }
  return sum;
}

std::vector<float> EmbedDocuments(
    int64_t count, const std::function<absl::string_view(int64_t)>& text_of,
    int32_t dimensions, const std::function<void(int64_t)>& on_progress) {
  // Documents that have a word, by hash: words that share a bucket count
  // together, which makes a rare one look a little less rare.
  std::vector<std::atomic<uint32_t>> seen_in(kBuckets);
  ParallelFor(count, kEmbedGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      for (const Term& term : TermsOf(text_of(i))) {
        seen_in[term.hash % kBuckets].fetch_add(1, std::memory_order_relaxed);
      }
      on_progress(static_cast<int64_t>(text_of(i).size()));
    }
  });
  std::vector<float> rows(count * dimensions);
  ParallelFor(count, kEmbedGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* row = rows.data() + i * dimensions;
      for (const Term& term : TermsOf(text_of(i))) {
        const double with = seen_in[term.hash % kBuckets].load();
        const double weight =
            (1 + std::log(term.count)) * std::log((1.0 + count) / (1.0 + with));
        const uint64_t place = Mix64(term.hash);
        const float sign = (place >> 63) != 0 ? -1.f : 1.f;
        row[place % dimensions] += sign * static_cast<float>(weight);
      }
      Normalize(row, dimensions);
      on_progress(static_cast<int64_t>(text_of(i).size()));
    }
  });
  return rows;
}

absl::StatusOr<StageResult> Embed(const DocumentStore& store,
                                  int32_t dimensions, const std::string& folder,
                                  Progress& progress) {
  progress.Start("embed", 2 * store.TextBytes());
  const std::vector<float> rows = EmbedDocuments(
      store.count(), [&](int64_t i) { return store.TextOf(i); }, dimensions,
      [&](int64_t bytes) { progress.Advance(bytes); });
  LORY_RETURN_IF_ERROR(
      WriteArray<float>(absl::StrCat(folder, "/", kVectorsFile), rows));
  return StageResult{
      {kVectorsFile},
      {{"vectors", static_cast<double>(store.count())}},
      absl::StrFormat("%d vectors of %d numbers", store.count(), dimensions)};
}

}  // namespace lory::corpus
