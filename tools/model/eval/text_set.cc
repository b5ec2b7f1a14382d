#include "tools/model/eval/text_set.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace lory::eval {
namespace {

int64_t Limited(int64_t count, int64_t limit) {
  return limit > 0 ? std::min(count, limit) : count;
}

// Windows that it takes to reach the last of `targets` targets.
int64_t WindowCount(int64_t targets, int64_t window, int64_t stride) {
  if (targets <= window) return 1;
  return 1 + (targets - window + stride - 1) / stride;
}

}  // namespace

std::vector<TextSet> HeldOutSets(const lory::data::Dataset& dataset,
                                 int64_t limit) {
  const int64_t length = dataset.manifest().sequence_length;
  std::vector<TextSet> sets;
  for (size_t i = 0; i < dataset.manifest().held_out.size(); ++i) {
    const lory::data::HeldOutEntry& entry = dataset.manifest().held_out[i];
    const int index = static_cast<int>(i);
    TextSet set{.name = entry.domain,
                .kept_out = entry.kept_out,
                .window = length,
                .stride = length,
                .window_count = Limited(dataset.held_out_count(index), limit)};
    set.read = [&dataset, index, length](int64_t sequence,
                                         Window& window) -> absl::Status {
      window.tokens.resize(length + 1);
      LORY_RETURN_IF_ERROR(dataset.ReadHeldOut(index, sequence, window.tokens));
      window.targets.assign(window.tokens.begin() + 1, window.tokens.end());
      window.tokens.pop_back();
      return absl::OkStatus();
    };
    if (set.window_count > 0) sets.push_back(std::move(set));
  }
  return sets;
}

TextSet SlidingWindows(std::string name, std::vector<int64_t> tokens,
                       int64_t window, int64_t stride, int64_t limit) {
  LORY_CHECK(tokens.size() >= 2);
  LORY_CHECK(1 <= stride && stride <= window);
  const int64_t targets = static_cast<int64_t>(tokens.size()) - 1;
  TextSet set{
      .name = std::move(name),
      .is_file = true,
      .window = window,
      .stride = stride,
      .window_count = Limited(WindowCount(targets, window, stride), limit)};
  const auto text =
      std::make_shared<const std::vector<int64_t>>(std::move(tokens));
  set.read = [text, window, stride, targets](int64_t index, Window& out) {
    const int64_t begin = index * stride;
    const int64_t end = std::min(begin + window, targets);
    out.tokens.assign(text->begin() + begin, text->begin() + end);
    out.targets.assign(text->begin() + begin + 1, text->begin() + end + 1);
    const int64_t counted =
        index == 0 ? 0 : std::min(window - stride, end - begin);
    std::fill_n(out.targets.begin(), counted, -1);
    return absl::OkStatus();
  };
  return set;
}

}  // namespace lory::eval
