#include <algorithm>

#include "tools/corpus/walk.h"

namespace lory::corpus {
namespace {

// The released code's.
constexpr size_t kChain = 21;

// Chains of documents, and which one each document is in.
struct Chains {
  std::vector<std::vector<int32_t>> documents;
  std::vector<int32_t> chain_of;
};

std::span<const Neighbor> NearestOf(std::span<const Neighbor> neighbors,
                                    int32_t k, int32_t document) {
  return neighbors.subspan(int64_t{document} * k,
                           std::min(kReleasedNearest, k));
}

Chains MakeChains(std::span<const Neighbor> neighbors, int32_t k,
                  std::span<const uint8_t> dropped) {
  Chains chains;
  chains.chain_of.assign(dropped.size(), -1);
  std::vector<uint8_t> visited(dropped.begin(), dropped.end());
  for (size_t start = 0; start < dropped.size(); ++start) {
    if (visited[start]) continue;
    std::vector<int32_t>& chain = chains.documents.emplace_back();
    for (int32_t here = static_cast<int32_t>(start); here >= 0;) {
      visited[here] = 1;
      chains.chain_of[here] = static_cast<int32_t>(chains.documents.size()) - 1;
      chain.push_back(here);
      int32_t next = -1;
      for (const Neighbor& neighbor : NearestOf(neighbors, k, here)) {
        if (neighbor.document >= 0 && !visited[neighbor.document]) {
          next = neighbor.document;
          break;
        }
      }
      here = chain.size() < kChain ? next : -1;
    }
  }
  return chains;
}

// Whether `document` found a place in another chain.
bool Move(std::span<const Neighbor> neighbors, int32_t k, int32_t document,
          Chains* chains) {
  for (const Neighbor& neighbor : NearestOf(neighbors, k, document)) {
    if (neighbor.document < 0) continue;
    const int32_t chain = chains->chain_of[neighbor.document];
    if (chain < 0 || chain == chains->chain_of[document]) continue;
    std::vector<int32_t>& others = chains->documents[chain];
    others.insert(std::find(others.begin(), others.end(), neighbor.document),
                  document);
    chains->chain_of[document] = chain;
    return true;
  }
  return false;
}

}  // namespace

Walk WalkAsReleased(std::span<const Neighbor> neighbors, int32_t k,
                    std::span<const uint8_t> dropped) {
  Chains chains = MakeChains(neighbors, k, dropped);
  for (size_t i = 0; i < chains.documents.size(); ++i) {
    // One that grew by what was put into it meanwhile stays.
    if (chains.documents[i].size() >= kChain) continue;
    const std::vector<int32_t> before = chains.documents[i];
    for (const int32_t document : before) {
      if (Move(neighbors, k, document, &chains)) {
        std::erase(chains.documents[i], document);
      }
    }
  }
  Walk walk;
  for (const std::vector<int32_t>& chain : chains.documents) {
    if (chain.empty()) continue;
    walk.chain_begins.push_back(static_cast<int32_t>(walk.order.size()));
    walk.order.insert(walk.order.end(), chain.begin(), chain.end());
  }
  return walk;
}

}  // namespace lory::corpus
