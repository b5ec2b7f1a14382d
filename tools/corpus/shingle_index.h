#ifndef LORY_TOOLS_CORPUS_SHINGLE_INDEX_H_
#define LORY_TOOLS_CORPUS_SHINGLE_INDEX_H_

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"

namespace lory::corpus {

// Sets of shingles, one after the other in one piece of memory.
class ShingleSets {
 public:
  // `set` as ShinglesOf gives it.
  void Add(std::span<const uint64_t> set);
  // Gives back the room to grow.
  void Shrink();

  int64_t count() const { return static_cast<int64_t>(begins_.size()) - 1; }
  int64_t shingles() const { return static_cast<int64_t>(all_.size()); }
  const std::vector<uint64_t>& all() const { return all_; }
  std::span<const uint64_t> operator[](int64_t number) const {
    return std::span(all_).subspan(begins_[number],
                                   begins_[number + 1] - begins_[number]);
  }

 private:
  std::vector<uint64_t> all_;
  std::vector<int64_t> begins_ = {0};
};

// Of `documents` from the first on: at least one, if there are any, and as many
// as an index of `index_bytes` has room for. All cores, with 16 MiB of text in
// work; `text_of` is called on any thread.
ShingleSets GatherShingles(
    std::span<const int32_t> documents, int64_t index_bytes,
    const std::function<absl::string_view(int32_t)>& text_of);

// Finds those of many sets of shingles that overlap much with another set,
// without looking at the rest. Exact: two sets that share enough also share
// some of their rarest shingles, and only those are listed (prefix filtering;
// Bayardo, Ma and Srikant, 2007). How many of them, and which, says how much
// two sets can share at most (positional filtering; Xiao and others, 2008).
// Immutable; thread-safe.
class ShingleIndex {
 public:
  // Memory for each shingle of `sets`, at most, also while it is made: 8 in
  // its set, 8 among those that are sorted, 4 to count it, 2 for its bucket, 4
  // for its list and 8 in it.
  static constexpr int64_t kBytesAShingle = 36;

  // At most 2^31 shingles; `overlap` above 0.
  ShingleIndex(ShingleSets sets, double overlap);

  struct Match {
    int32_t set = -1;  // its number; -1: none overlaps enough
    double overlap = 0;
  };

  // Looks up one set after the other, with memory of its own for what it has
  // seen. Thread-compatible; the index lives longer.
  class Lookup {
   public:
    explicit Lookup(const ShingleIndex& index) : index_(index) {}

    // The first set, by number, that overlaps with `shingles` by at least the
    // index' overlap. Later ones are hardly looked at: where all are alike, one
    // is. An empty set overlaps with none.
    Match First(std::span<const uint64_t> shingles);
    // The first below `end` that `accepts`, which is asked for those that may
    // overlap enough, before shingles are compared.
    Match First(std::span<const uint64_t> shingles, int32_t end,
                const std::function<bool(int32_t)>& accepts);

    // How many sets have been compared in all.
    int64_t compared() const { return compared_; }

   private:
    // What is left of a list, and where its shingle is in the set looked up.
    struct Rest {
      int32_t next = 0, end = 0;
      int32_t rank = 0;
    };
    // Listed shingles that a set shares, and the last of them in both.
    struct Shared {
      int32_t count = 0;
      int32_t rank = 0, other_rank = 0;
    };

    void CountShared(int32_t begin, int32_t end);
    void ListCandidates(int64_t size, int64_t last_place, int32_t begin);

    const ShingleIndex& index_;
    std::vector<Rest> rests_;
    std::vector<Shared> shared_;  // by number, from a begin on
    std::vector<int32_t> touched_, candidates_;
    int64_t compared_ = 0;
  };

  std::span<const uint64_t> set(int32_t number) const { return sets_[number]; }

 private:
  void CountSets();
  void FindBuckets();
  void ListSets();
  // Of a shingle among those there are; -1: no set has it.
  int64_t PlaceOf(uint64_t shingle) const;
  // Places of the rarest shingles of a set, the rarest first, as many as two
  // sets that overlap enough cannot all miss. Those that no set has are the
  // rarest of all and left out: their number is where the ranks begin.
  struct Prefix {
    std::vector<int64_t> places;
    int32_t first_rank = 0;
  };
  Prefix PrefixOf(std::span<const uint64_t> shingles) const;
  // How many shingles of a set of `size` another must share to overlap enough.
  int64_t LeastShared(int64_t size) const;
  // Whether shingles at `place` come before those at `other`, by rarity.
  bool IsRarer(int64_t place, int64_t other) const;

  struct Listed {
    int32_t set = 0;
    int32_t rank = 0;  // of the shingle in the set
  };

  const ShingleSets sets_;
  const double overlap_;
  std::vector<uint64_t> shingles_;      // of all sets, each once, sorted
  std::vector<int32_t> sets_with_;      // how many have it, by place
  int bucket_shift_ = 63;               // shingles by their first bits
  std::vector<int32_t> bucket_begins_;  // places, one more than buckets
  std::vector<int32_t> list_begins_;    // by place, and the end of all
  std::vector<Listed> listed_;          // sets whose prefix has it
  std::vector<int32_t> last_places_;    // of prefixes, by set; -1: empty
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_SHINGLE_INDEX_H_
