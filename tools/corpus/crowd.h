#ifndef LORY_TOOLS_CORPUS_CROWD_H_
#define LORY_TOOLS_CORPUS_CROWD_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/corpus/near_pair.h"
#include "tools/corpus/shingle_index.h"

namespace lory::corpus {

// What makes two documents near copies, by their numbers. Thread-safe.
struct NearTest {
  std::function<double(int32_t, int32_t)> similarity;
  std::function<double(int32_t, int32_t)> overlap;
  std::function<absl::string_view(int32_t)> text_of;
};

struct NearLimits {
  double similarity = 0.95;  // 1: look for none
  double overlap = 0.5;      // 0: the similarity is enough
  // For an index of shingles; decides on nothing but time.
  int64_t index_bytes = int64_t{1} << 30;
};

// Documents of which each has more similar ones than its list of neighbours has
// room for, so that two of them may be near copies though neither lists the
// other. Tells each of an earlier one that stays, by an index of their
// shingles, or without a limit on these by trying those that stay. They are
// taken a part at a time, as many as the index has room for; what comes out is
// the same for any room and any number of threads. Uses all cores.
// Thread-compatible; what it is given lives longer.
class Crowd {
 public:
  // `members` ascend; `is_listed`, as many: a list names an earlier near copy,
  // so that there is less reason to look for one. `kept_for`, by document: the
  // one that it went for, -1: it stays. Others fill that in, in ascending
  // order.
  Crowd(std::vector<int32_t> members, std::vector<uint8_t> is_listed,
        const std::vector<int32_t>& kept_for, const NearLimits& limits,
        const NearTest& test);

  // Begins the next part and returns its end: documents below it are decided
  // next, and then Finish is called. All that there are: the last part.
  int32_t Begin();
  // An earlier member that stays and that `document` is a near copy of; -1:
  // none. Documents below the part's end are asked for in ascending order, and
  // all earlier ones are decided.
  int32_t StayingCopyOf(int32_t document);
  // Compares what comes later with what stays of the part.
  void Finish();
  bool done() const { return end_ == static_cast<int64_t>(members_.size()); }

 private:
  bool IsNear(int32_t a, int32_t b) const {
    return test_.similarity(a, b) >= limits_.similarity;
  }
  void FindEarlier();

  const std::vector<int32_t> members_;
  const std::vector<uint8_t> is_listed_;
  const std::vector<int32_t>& kept_for_;
  const NearLimits& limits_;
  const NearTest& test_;
  std::vector<int32_t> found_;  // in parts before, by place; -1: none
  int64_t next_ = 0;            // place of the document that is asked for next
  int64_t end_ = 0;             // of the part, as a place
  NearSide part_;               // documents in the index
  std::vector<int32_t> earlier_;  // the first in the part; -1: none
  std::optional<ShingleIndex> index_;
  std::optional<ShingleIndex::Lookup> lookup_;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_CROWD_H_
