#ifndef LORY_TOOLS_CORPUS_MIXTURE_H_
#define LORY_TOOLS_CORPUS_MIXTURE_H_

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/corpus/document_store.h"
#include "tools/corpus/stage.h"
#include "tools/corpus/tokenize.h"

namespace lory::corpus {

// What each domain gets of the tokens to train, and how often its documents
// come for that.
struct DomainShare {
  std::string domain;
  int64_t tokens = 0;   // of its documents, once
  int64_t planned = 0;  // with what is repeated and without what is left out
  double epochs = 0;    // planned / tokens
};

struct Mixture {
  std::vector<uint8_t> copies;       // a byte a document of the store
  std::vector<DomainShare> domains;  // in the store's order
};

// How often each document is trained so that domains share the tokens by their
// weights, while there are as many in all as if each came once. Within a domain
// each document comes floor(epochs) times or once more, by a hash of its id and
// the seed. Empty weights: each that is not `gone` once.
//
// INVALID_ARGUMENT: a weight for a domain that has nothing to train, a domain
// without a weight, or one that would come more than kMostEpochs times.
absl::StatusOr<Mixture> Mix(std::span<const DocumentRecord> records,
                            const std::vector<std::string>& domains,
                            const std::function<int64_t(int64_t)>& tokens_of,
                            std::span<const uint8_t> gone,
                            const std::map<std::string, double>& weights,
                            uint64_t seed);

inline constexpr double kMostEpochs = 100;
inline constexpr char kCopiesFile[] = "copies.bytes";
// Before the name of a domain, of its figure.
inline constexpr char kEpochsFigure[] = "epochs_";

// The stage: writes copies.bytes, a byte a document of the store.
absl::StatusOr<StageResult> MixDomains(
    const DocumentStore& store, const TokenStore& tokens,
    std::span<const uint8_t> held_out, std::span<const uint8_t> dropped,
    const std::map<std::string, double>& weights, uint64_t seed,
    const std::string& folder);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_MIXTURE_H_
