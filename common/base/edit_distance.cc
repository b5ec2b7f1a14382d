#include "common/base/edit_distance.h"

#include <algorithm>
#include <utility>

namespace lory {

int EditDistance(absl::string_view a, absl::string_view b) {
  // Optimal string alignment: three rows of the usual table.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    before = std::exchange(last, row);
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const int replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
  }
  return row[b.size()];
}

std::string ClosestWord(absl::string_view wrong,
                        const std::vector<std::string>& words) {
  std::string best;
  // A third of the letters may be wrong, else it is another word.
  int nearest = std::min(static_cast<int>(wrong.size()) / 3, 3) + 1;
  for (const std::string& word : words) {
    const int distance = EditDistance(wrong, word);
    if (distance < nearest) {
      nearest = distance;
      best = word;
    }
  }
  return best;
}

}  // namespace lory
