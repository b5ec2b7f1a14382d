#ifndef LORY_TOOLS_CORPUS_NEIGHBOR_OPTIONS_H_
#define LORY_TOOLS_CORPUS_NEIGHBOR_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace lory::corpus {

// How neighbours are looked for: in all documents, in those of lists that are
// near (an inverted file), or in lists only when there are many documents.
enum class SearchMethod { kAuto, kExact, kLists };

// What makes documents similar: the cosine of their vectors, or the product.
enum class Metric { kCosine, kInnerProduct };

// `neighbors` of corpus.yaml.
struct NeighborOptions {
  int32_t k = 10;
  SearchMethod method = SearchMethod::kAuto;
  Metric metric = Metric::kCosine;
  int64_t lists = 0;   // 0: by the number of documents
  int64_t probes = 0;  // lists that are looked through; 0: by `recall`
  double recall = 0.95;
  int64_t recall_sample = 500;  // documents it is measured on
  int64_t memory_mb = 1024;     // of packed vectors at a time
  uint64_t seed = 1;
};

// With `auto` more documents than this are searched by lists: exact search of
// as many takes minutes on two cores, and four times as long for twice as many.
inline constexpr int64_t kMostExact = 200'000;

// Whether `rows` of them are searched exactly.
bool IsExact(const NeighborOptions& options, int64_t rows);

// auto, exact, ivf; cosine, inner_product.
absl::string_view NameOf(SearchMethod method);
absl::string_view NameOf(Metric metric);
std::vector<std::string> SearchMethodNames();
std::vector<std::string> MetricNames();
SearchMethod SearchMethodNamed(absl::string_view name);
Metric MetricNamed(absl::string_view name);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_NEIGHBOR_OPTIONS_H_
