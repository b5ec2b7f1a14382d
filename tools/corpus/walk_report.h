#ifndef LORY_TOOLS_CORPUS_WALK_REPORT_H_
#define LORY_TOOLS_CORPUS_WALK_REPORT_H_

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "tools/corpus/neighbor.h"
#include "tools/corpus/walk.h"

namespace lory::corpus {

// How good an order is. Weights are sums of similarities over joined documents
// that follow each other; a step between documents without a joint weighs 0.
struct WalkReport {
  int64_t documents = 0;
  double weight = 0;
  double random_weight = 0;  // of a random order, on average
  double upper_bound = 0;    // of any order
  int64_t jumps = 0;
  double mean_chain = 0;
  int64_t median_chain = 0;
  int64_t longest_chain = 0;
};

// The bound: a document has at most two neighbours in an order, so half the
// sum of everybody's two best joints is at least the weight of the best one.
// In a random order two documents follow each other in 2 of `documents` cases.
WalkReport ReportOn(const Walk& walk, std::span<const Neighbor> neighbors,
                    int32_t k, std::span<const uint8_t> dropped);

// Sets what the report says of jumps and chains.
void ReportChains(const Walk& walk, WalkReport* report);

// As figures of a stage, and for people: "568 jumps, chains of ...".
std::map<std::string, double> FiguresOf(const WalkReport& report);
std::string Describe(const WalkReport& report);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_WALK_REPORT_H_
