#include "tools/corpus/coherence.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "tools/corpus/cosine.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/pack.h"

namespace lory::corpus {
namespace {

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

struct Mean {
  double sum = 0;
  int64_t count = 0;

  void Add(double value, int64_t times = 1) {
    sum += value * static_cast<double>(times);
    count += times;
  }
  double value() const {
    return count == 0 ? 0 : sum / static_cast<double>(count);
  }
};

// Mean of the vectors of documents [first, last) at unit length, and what it
// says of them: the mean over pairs is the length of the sum without
// everybody's own.
std::vector<double> MeanVector(const DatasetView& view, int64_t first,
                               int64_t last, Mean* inside) {
  std::vector<double> mean(view.dimensions());
  double own = 0;
  for (int64_t i = first; i < last; ++i) {
    const float* row = view.VectorOf(i);
    const double divisor = CosineDivisor(row, view.dimensions());
    own += Similarity(row, row, view.dimensions()) / (divisor * divisor);
    for (int32_t j = 0; j < view.dimensions(); ++j) mean[j] += row[j] / divisor;
  }
  const double count = static_cast<double>(last - first);
  if (last - first > 1) {
    inside->Add((Dot(mean, mean) - own) / (count * (count - 1)));
  }
  for (double& value : mean) value /= count;
  return mean;
}

// Share of the tokens of a context that its most frequent domain has.
double PurityOf(const DatasetView& view, int64_t place, int64_t first,
                int64_t last) {
  const int64_t begin = place * view.context();
  std::map<std::string, int64_t> domains;
  int64_t most = 0;
  for (int64_t i = first; i < last; ++i) {
    const IndexedDocument& document = view.documents()[i];
    const int64_t from = std::max(begin, document.first_token);
    const int64_t to = std::min(begin + view.context(),
                                document.first_token + document.token_count);
    most = std::max(most, domains[document.domain] += to - from);
  }
  return static_cast<double>(most) / static_cast<double>(view.context());
}

}  // namespace

Coherence MeasureCoherence(const DatasetView& view) {
  const int64_t count = view.manifest().SequenceCount();
  Coherence out;
  out.contexts = count;
  Mean documents, inside, neighbors, next, purity;
  std::vector<double> sum(view.dimensions()), before;
  double own = 0;
  int64_t pure = 0;
  for (int64_t stored = 0; stored < count; ++stored) {
    const int64_t place = PackedPlaceOf(view.manifest().seed, count, stored);
    const auto [first, last] = view.DocumentsIn(place);
    documents.Add(static_cast<double>(last - first));
    for (int64_t i = first + 1; i < last; ++i) {
      neighbors.Add(
          Cosine(view.VectorOf(i - 1), view.VectorOf(i), view.dimensions()));
    }
    std::vector<double> mean = MeanVector(view, first, last, &inside);
    if (stored > 0) next.Add(Dot(before, mean));
    own += Dot(mean, mean);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += mean[i];
    before = std::move(mean);
    const double share = PurityOf(view, place, first, last);
    purity.Add(share);
    pure += share == 1;
  }
  out.documents_per_context = documents.value();
  out.inside = inside.value();
  out.neighbors = neighbors.value();
  out.next = next.value();
  out.purity = purity.value();
  if (count > 0) {
    out.one_domain = static_cast<double>(pure) / static_cast<double>(count);
  }
  if (count > 1) {
    const double pairs = static_cast<double>(count) * (count - 1);
    out.any = (Dot(sum, sum) - own) / pairs;
  }
  return out;
}

}  // namespace lory::corpus
