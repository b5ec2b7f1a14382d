#include "tools/corpus/neighbor_options.h"

namespace lory::corpus {

bool IsExact(const NeighborOptions& options, int64_t rows) {
  if (options.method == SearchMethod::kAuto) return rows <= kMostExact;
  return options.method == SearchMethod::kExact;
}

absl::string_view NameOf(SearchMethod method) {
  switch (method) {
    case SearchMethod::kAuto:
      return "auto";
    case SearchMethod::kExact:
      return "exact";
    case SearchMethod::kLists:
      return "ivf";
  }
  return "";
}

absl::string_view NameOf(Metric metric) {
  return metric == Metric::kCosine ? "cosine" : "inner_product";
}

std::vector<std::string> SearchMethodNames() {
  return {"auto", "exact", "ivf"};
}

std::vector<std::string> MetricNames() { return {"cosine", "inner_product"}; }

SearchMethod SearchMethodNamed(absl::string_view name) {
  if (name == "exact") return SearchMethod::kExact;
  return name == "ivf" ? SearchMethod::kLists : SearchMethod::kAuto;
}

Metric MetricNamed(absl::string_view name) {
  return name == "cosine" ? Metric::kCosine : Metric::kInnerProduct;
}

}  // namespace lory::corpus
