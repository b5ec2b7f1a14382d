#include <algorithm>
#include <atomic>
#include <cmath>

#include "common/base/random.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/embedder.h"
#include "tools/corpus/parallel.h"
#include "tools/corpus/words.h"

namespace lory::corpus {
namespace {

constexpr int64_t kTextGrain = 32;
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

class HashedTfIdf : public Embedder {
 public:
  explicit HashedTfIdf(int32_t dimensions)
      : dimensions_(dimensions), seen_in_(kBuckets) {}

  int32_t dimensions() const override { return dimensions_; }
  nlohmann::ordered_json options() const override {
    return {{"kind", "hashed-tf-idf"}, {"dimensions", dimensions_}};
  }
  bool reads_texts_before() const override { return true; }
  bool is_slow() const override { return false; }

  void Prepare(const Texts& texts, const OnProgress& on_progress) override {
    ParallelFor(texts.count, kTextGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        for (const Term& term : TermsOf(texts.of(i))) {
          seen_in_[term.hash % kBuckets].fetch_add(1,
                                                   std::memory_order_relaxed);
        }
        on_progress(static_cast<int64_t>(texts.of(i).size()));
      }
    });
  }

  absl::StatusOr<int64_t> Embed(const Texts& texts, int64_t begin, int64_t end,
                                float* rows,
                                const OnProgress& on_progress) override {
    std::fill(rows, rows + (end - begin) * dimensions_, 0.f);
    ParallelFor(end - begin, kTextGrain, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const absl::string_view text = texts.of(begin + i);
        EmbedOne(text, texts.count, rows + i * dimensions_);
        on_progress(static_cast<int64_t>(text.size()));
      }
    });
    return 0;
  }

 private:
  void EmbedOne(absl::string_view text, int64_t count, float* row) const {
    for (const Term& term : TermsOf(text)) {
      const double with = seen_in_[term.hash % kBuckets].load();
      const double weight =
          (1 + std::log(term.count)) * std::log((1.0 + count) / (1.0 + with));
      const uint64_t place = Mix64(term.hash);
      const float sign = (place >> 63) != 0 ? -1.f : 1.f;
      row[place % dimensions_] += sign * static_cast<float>(weight);
    }
    ToUnitLength(row, dimensions_);
  }

  const int32_t dimensions_;
  // Documents that have a word, by hash: words that share a bucket count
  // together, which makes a rare one look a little less rare.
  std::vector<std::atomic<uint32_t>> seen_in_;
};

}  // namespace

std::unique_ptr<Embedder> MakeHashedTfIdf(int32_t dimensions) {
  return std::make_unique<HashedTfIdf>(dimensions);
}

}  // namespace lory::corpus
