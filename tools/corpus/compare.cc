#include "tools/corpus/compare.h"

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"

namespace lory::corpus {
namespace {

std::string Row(absl::string_view what, const std::string& a,
                const std::string& b) {
  return absl::StrFormat("%-28s %14s %14s\n", what, a, b);
}

std::string Row(absl::string_view what, double a, double b) {
  return Row(what, absl::StrFormat("%.3f", a), absl::StrFormat("%.3f", b));
}

// How often each document comes.
absl::flat_hash_map<absl::string_view, int64_t> CopiesIn(
    const DatasetView& of) {
  absl::flat_hash_map<absl::string_view, int64_t> copies;
  for (const IndexedDocument& document : of.documents()) ++copies[document.id];
  return copies;
}

// "17 documents are in both", and whether those are all, equally often.
std::string Shared(const DatasetView& a, const DatasetView& b) {
  const auto in_a = CopiesIn(a);
  const auto in_b = CopiesIn(b);
  int64_t shared = 0;
  for (const auto& [id, copies] : in_a) shared += in_b.contains(id);
  return absl::StrFormat("\n%d documents are in both%s\n", shared,
                         in_a == in_b ? ": the same, in two orders" : "");
}

}  // namespace

absl::StatusOr<std::string> CompareDatasets(const std::string& path,
                                            const std::string& other) {
  LORY_ASSIGN_OR_RETURN(DatasetView a, DatasetView::Open(path));
  LORY_ASSIGN_OR_RETURN(DatasetView b, DatasetView::Open(other));
  LORY_RETURN_IF_ERROR(a.OpenVectors());
  LORY_RETURN_IF_ERROR(b.OpenVectors());
  const Coherence of_a = MeasureCoherence(a);
  const Coherence of_b = MeasureCoherence(b);
  std::string out = Row("", a.manifest().name, b.manifest().name);
  absl::StrAppend(
      &out, Row("order", a.manifest().order, b.manifest().order),
      Row("documents", absl::StrCat(a.documents().size()),
          absl::StrCat(b.documents().size())),
      Row("contexts", absl::StrCat(of_a.contexts), absl::StrCat(of_b.contexts)),
      Row("tokens of a context", absl::StrCat(a.context()),
          absl::StrCat(b.context())),
      Row("documents in a context", of_a.documents_per_context,
          of_b.documents_per_context),
      "\nmean cosine of two documents\n",
      Row("  side by side in a context", of_a.neighbors, of_b.neighbors),
      Row("  anywhere in one context", of_a.inside, of_b.inside),
      Row("  in contexts stored in turn", of_a.next, of_b.next),
      Row("  in any two contexts", of_a.any, of_b.any), "\ndomains\n",
      Row("  share of the main one", of_a.purity, of_b.purity),
      Row("  contexts of one alone", of_a.one_domain, of_b.one_domain));
  absl::StrAppend(&out, Shared(a, b));
  return out;
}

}  // namespace lory::corpus
