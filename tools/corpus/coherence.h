#ifndef LORY_TOOLS_CORPUS_COHERENCE_H_
#define LORY_TOOLS_CORPUS_COHERENCE_H_

#include <cstdint>

#include "tools/corpus/dataset_view.h"

namespace lory::corpus {

// How much belongs together in contexts and between them. Similarities are
// means of cosines; of documents, however little of them a context has.
struct Coherence {
  int64_t contexts = 0;
  double documents_per_context = 0;
  double inside = 0;      // any two documents of one context
  double neighbors = 0;   // those that follow each other in one
  double next = 0;        // one of a context, one of that stored next to it
  double any = 0;         // one of a context, one of any other
  double purity = 0;      // share of a context's most frequent domain
  double one_domain = 0;  // share of contexts with no other
};

// `view` must have its vectors.
Coherence MeasureCoherence(const DatasetView& view);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_COHERENCE_H_
