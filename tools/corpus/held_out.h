#ifndef LORY_TOOLS_CORPUS_HELD_OUT_H_
#define LORY_TOOLS_CORPUS_HELD_OUT_H_

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/stage.h"

namespace lory::corpus {

struct HeldOutOptions {
  double fraction = 0.01;  // of each domain's documents; 0: none at all
  uint64_t seed = 1;
  // What one context surely needs: a domain gives at least that much, but
  // never more than half of what it has.
  int64_t min_bytes = 0;
  // Domains that are held out whole.
  std::vector<std::string> domains;
};

// Which documents are never trained, but for whole domains: of each domain
// those whose id, hashed with the seed, is smallest. So few change sides when
// others come or go. 1: held out.
std::vector<uint8_t> ChooseHeldOut(std::span<const DocumentRecord> records,
                                   const HeldOutOptions& options);

// The stage: writes held_out.bytes, a byte a document. INVALID_ARGUMENT:
// there is no domain of a name in `options`, or nothing is left to train.
absl::StatusOr<StageResult> SplitHeldOut(const DocumentStore& store,
                                         const HeldOutOptions& options,
                                         const std::string& folder);

inline constexpr char kHeldOutFile[] = "held_out.bytes";

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_HELD_OUT_H_
