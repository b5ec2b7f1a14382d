#ifndef LORY_TOOLS_CORPUS_JOINTS_H_
#define LORY_TOOLS_CORPUS_JOINTS_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "tools/corpus/neighbor.h"

namespace lory::corpus {

// A bit a document: an eighth of what bytes would take of the cache.
class DocumentBits {
 public:
  explicit DocumentBits(size_t count) : words_((count + 63) / 64) {}
  explicit DocumentBits(std::span<const uint8_t> bytes);

  bool operator[](int64_t i) const { return words_[i >> 6] >> (i & 63) & 1; }
  void Set(int64_t i) { words_[i >> 6] |= uint64_t{1} << (i & 63); }
  bool any() const;

 private:
  std::vector<uint64_t> words_;
};

// The undirected graph over lists of neighbours: beside a document's own list,
// which stays where it is, who lists it and is not listed back. Made in order
// of memory, part by part, as there is time for one miss a document, not for
// one an edge. Five bytes an edge. Immutable.
class Joints {
 public:
  // Who lists a document.
  struct Lister {
    int32_t document = -1;
    // How many of the document's own neighbours are better than this one;
    // kMany: so many or more.
    uint8_t rank = 0;
  };
  static constexpr int64_t kMany = 255;

  // Of each pair there is one similarity, whichever of the two lists it; lists
  // have the best first, of equal ones the smaller number. `dropped` documents
  // are joined to nobody.
  Joints(std::span<const Neighbor> neighbors, int32_t k,
         std::span<const uint8_t> dropped);

  std::span<const Neighbor> Row(int64_t document) const {
    return neighbors_.subspan(document * k_, k_);
  }

  // The n-th best of those that list `document` and are not listed by it;
  // ListersOf how many there are.
  int64_t ListersOf(int64_t document) const {
    return begins_[document + 1] - begins_[document];
  }
  Lister ListerAt(int64_t document, int64_t n) const {
    Lister lister;
    const uint8_t* const from =
        listers_.get() + (begins_[document] + n) * kListerBytes;
    std::memcpy(&lister.document, from, sizeof(lister.document));
    lister.rank = from[sizeof(lister.document)];
    return lister;
  }

  // Joints of every document. Once: they are handed over.
  std::vector<int32_t> TakeDegrees() { return std::move(degrees_); }

  // Begins to bring what is known of a document from memory.
  void Fetch(int64_t document) const;
  void FetchListers(int64_t document) const {
    __builtin_prefetch(listers_.get() + begins_[document] * kListerBytes);
  }

 private:
  static constexpr int64_t kListerBytes = 5;

  friend class JointsMaker;

  const std::span<const Neighbor> neighbors_;
  const int64_t k_;
  std::vector<int64_t> begins_;  // in listers_; one more than documents
  std::unique_ptr<uint8_t[]> listers_;
  std::vector<int32_t> degrees_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_JOINTS_H_
