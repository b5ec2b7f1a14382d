#include "tools/corpus/joints.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <numeric>

namespace lory::corpus {
namespace {

// The lists are turned round a quarter of the documents at a time, so that what
// is under way takes no more than what is there in the end, if each quarter is
// listed about as often as the others.
constexpr int64_t kPasses = 4;
// Documents of a part: with their lists they fit into the second cache ...
constexpr int64_t kLeastPart = 2048;
// ... unless there would be more parts than places to write to at a time.
constexpr int64_t kMostParts = 1024;  // of a pass
constexpr size_t kFewKeys = 24;
constexpr uintptr_t kHugePage = 2 << 20;

// Smaller is better: the greater similarity, of equal ones the smaller number.
uint64_t KeyOf(int32_t document, float similarity) {
  // Adding zero makes minus zero one.
  const auto bits = std::bit_cast<uint32_t>(similarity + 0.0f);
  const uint32_t ascending =
      (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
  return uint64_t{~ascending} << 32 | static_cast<uint32_t>(document);
}

// Fewer, larger pages where the system has them: most accesses are to a page of
// their own.
template <typename T>
void AskForHugePages(const T* data, size_t count) {
  const auto begin = reinterpret_cast<uintptr_t>(data);
  const uintptr_t first = (begin + kHugePage - 1) / kHugePage * kHugePage;
  const uintptr_t last = (begin + count * sizeof(T)) / kHugePage * kHugePage;
  if (last > first) {
    madvise(reinterpret_cast<void*>(first), last - first, MADV_HUGEPAGE);
  }
}

}  // namespace

DocumentBits::DocumentBits(std::span<const uint8_t> bytes)
    : DocumentBits(bytes.size()) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    if (bytes[i] != 0) Set(static_cast<int64_t>(i));
  }
}

bool DocumentBits::any() const {
  return std::any_of(words_.begin(), words_.end(),
                     [](uint64_t word) { return word != 0; });
}

// Turns lists round.
class JointsMaker {
 public:
  JointsMaker(std::span<const uint8_t> dropped, Joints* joints)
      : joints_(*joints),
        count_(static_cast<int64_t>(dropped.size())),
        dropped_(dropped),
        any_dropped_(dropped_.any()) {
    const int64_t least = count_ / (kPasses * kMostParts) + 1;
    shift_ =
        std::bit_width(static_cast<uint64_t>(std::max(kLeastPart, least) - 1));
    parts_ = (count_ >> shift_) + 1;
    per_pass_ = (parts_ + kPasses - 1) / kPasses;
  }

  void Make() {
    joints_.begins_.resize(count_ + 1);
    joints_.degrees_.resize(count_);
    // What is not written in the end takes no memory. A store is of 8 bytes.
    const size_t bytes =
        joints_.neighbors_.size() * Joints::kListerBytes + sizeof(uint64_t);
    joints_.listers_ = std::make_unique_for_overwrite<uint8_t[]>(bytes);
    AskForHugePages(joints_.begins_.data(), joints_.begins_.size());
    AskForHugePages(joints_.listers_.get(), bytes);
    sizes_.resize(parts_);
    ForEachEdge(
        [&](int64_t, const Neighbor& to) { ++sizes_[to.document >> shift_]; });
    for (int64_t first = 0; first < parts_; first += per_pass_) {
      most_edges_ = std::max(most_edges_, EdgesOf(first, PassEnd(first)));
    }
    edges_ = std::make_unique_for_overwrite<Edge[]>(most_edges_ + 1);
    AskForHugePages(edges_.get(), most_edges_);
    for (int64_t first = 0; first < parts_; first += per_pass_) {
      Collect(first, PassEnd(first));
    }
    joints_.begins_[count_] = written_;
  }

 private:
  // One of the edges that end in a part.
  struct Edge {
    int32_t to;
    int32_t from;
    float similarity;
  };

  int64_t PassEnd(int64_t first) const {
    return std::min(first + per_pass_, parts_);
  }
  int64_t EdgesOf(int64_t first, int64_t last) const {
    return std::accumulate(sizes_.begin() + first, sizes_.begin() + last,
                           int64_t{0});
  }
  bool IsDropped(int64_t document) const {
    return any_dropped_ && dropped_[document];
  }

  template <typename Use>
  void ForEachEdge(const Use& use) const {
    const Neighbor* at = joints_.neighbors_.data();
    for (int64_t i = 0; i < count_; ++i, at += joints_.k_) {
      if (IsDropped(i)) continue;
      for (int64_t j = 0; j < joints_.k_; ++j) {
        if (at[j].document < 0 || IsDropped(at[j].document)) continue;
        use(i, at[j]);
      }
    }
  }

  // The edges into the parts [first, last), put together by part; then each
  // part by itself.
  void Collect(int64_t first, int64_t last) {
    std::vector<int64_t> ends(last - first);
    std::exclusive_scan(sizes_.begin() + first, sizes_.begin() + last,
                        ends.begin(), int64_t{0});
    // Others go where nobody looks: no branch depends on it.
    const auto width = static_cast<uint64_t>(last - first);
    ends.push_back(most_edges_);
    int64_t* const at = ends.data();
    Edge* const edges = edges_.get();
    ForEachEdge([=, this](int64_t from, const Neighbor& to) {
      const auto part = static_cast<uint64_t>(to.document >> shift_) - first;
      const bool is_own = part < width;
      int64_t& place = at[is_own ? part : width];
      edges[place] = {to.document, static_cast<int32_t>(from), to.similarity};
      place += is_own;
    });
    for (int64_t part = first; part < last; ++part) {
      const int64_t end = ends[part - first];
      Turn(part << shift_,
           std::span(edges_.get() + end - sizes_[part], sizes_[part]));
    }
  }

  void Turn(int64_t first, std::span<const Edge> edges) {
    const int64_t last = std::min(first + (int64_t{1} << shift_), count_);
    if (last <= first) return;
    begins_.assign(last - first + 1, 0);
    for (const Edge& edge : edges) ++begins_[edge.to - first + 1];
    std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
    keys_.resize(edges.size());
    for (const Edge& edge : edges) {
      keys_[begins_[edge.to - first]++] = KeyOf(edge.from, edge.similarity);
    }
    int64_t begin = 0;  // begins_ are ends by now
    for (int64_t i = first; i < last; ++i) {
      const int64_t end = begins_[i - first];
      Write(i, std::span(keys_).subspan(begin, end - begin));
      begin = end;
    }
  }

  void Write(int64_t document, std::span<uint64_t> keys) {
    joints_.begins_[document] = written_;
    if (IsDropped(document)) return;
    const Neighbor* const row = joints_.Row(document).data();
    const auto k = static_cast<size_t>(joints_.k_);
    own_.resize(k);
    uint64_t* const own = own_.data();
    int32_t degree = 0;
    for (size_t i = 0; i < k; ++i) {
      degree += row[i].document >= 0 && !IsDropped(row[i].document);
      // Places without a neighbour are the last.
      own[i] = row[i].document < 0 ? ~uint64_t{0}
                                   : KeyOf(row[i].document, row[i].similarity);
    }
    Sort(keys);
    const int64_t before = written_;
    size_t rank = 0;
    for (const uint64_t key : keys) {
      if (k <= kFewKeys) {  // counted, without a branch as well
        rank = 0;
        for (size_t i = 0; i < k; ++i) rank += own[i] < key;
      } else {
        while (rank < k && own[rank] < key) ++rank;
      }
      // Of one similarity, whoever lists it: it is listed back.
      const bool is_own = rank < k && own[rank] == key;
      const uint64_t told = std::min<uint64_t>(rank, Joints::kMany);
      const uint64_t bytes = told << 32 | static_cast<uint32_t>(key);
      std::memcpy(joints_.listers_.get() + written_ * Joints::kListerBytes,
                  &bytes, sizeof(bytes));
      written_ += !is_own;
    }
    joints_.degrees_[document] =
        degree + static_cast<int32_t>(written_ - before);
  }

  // Few are put where they belong by counting who is before them: no branch
  // depends on them.
  static void Sort(std::span<uint64_t> keys) {
    const size_t count = keys.size();
    if (count > kFewKeys) return std::sort(keys.begin(), keys.end());
    uint64_t sorted[kFewKeys];
    for (size_t i = 0; i < count; ++i) {
      size_t before = 0;
      for (size_t j = 0; j < i; ++j) before += keys[j] <= keys[i];
      for (size_t j = i + 1; j < count; ++j) before += keys[j] < keys[i];
      sorted[before] = keys[i];
    }
    std::copy_n(sorted, count, keys.begin());
  }

  Joints& joints_;
  const int64_t count_;
  const DocumentBits dropped_;
  const bool any_dropped_;
  int shift_ = 0;  // of a document's number to its part
  int64_t parts_ = 0;
  int64_t per_pass_ = 0;           // parts
  std::vector<int64_t> sizes_;     // edges into each part
  std::unique_ptr<Edge[]> edges_;  // of a pass
  int64_t most_edges_ = 0;
  int64_t written_ = 0;  // listers
  // Of the part at hand, and of the document.
  std::vector<int64_t> begins_;
  std::vector<uint64_t> keys_;
  std::vector<uint64_t> own_;
};

Joints::Joints(std::span<const Neighbor> neighbors, int32_t k,
               std::span<const uint8_t> dropped)
    : neighbors_(neighbors), k_(k) {
  JointsMaker(dropped, this).Make();
}

void Joints::Fetch(int64_t document) const {
  const char* row = reinterpret_cast<const char*>(Row(document).data());
  for (size_t byte = 0; byte < k_ * sizeof(Neighbor); byte += 64) {
    __builtin_prefetch(row + byte);
  }
  __builtin_prefetch(begins_.data() + document);
}

}  // namespace lory::corpus
