#include <numeric>

#include "absl/strings/str_cat.h"
#include "common/data/sample_digest.h"
#include "common/data/sequence_order.h"
#include "tools/verify/sample_audit.h"

namespace lory::verify {
namespace {

// Above this, pairs are too many to try; the difference stays unexplained.
constexpr int64_t kMaxPairs = 1 << 22;

}  // namespace

std::vector<uint64_t> SampleGrid::Fingerprints(int64_t step, int64_t first,
                                               int64_t count) const {
  std::vector<uint64_t> fingerprints;
  int64_t global = step * StepSequences() + first * micro_batch_sequences;
  const int64_t end = global + count * micro_batch_sequences;
  while (global < end) {
    const data::SequencePosition begin =
        data::PositionOf(global, sequence_count);
    // A share may run on into the next epoch, which has another order.
    const data::SequenceOrder order(seed, begin.epoch, sequence_count);
    for (int64_t p = begin.position; p < sequence_count && global < end;
         ++p, ++global) {
      fingerprints.push_back(data::SampleFingerprint(begin.epoch, order.At(p)));
    }
  }
  return fingerprints;
}

absl::StatusOr<SampleGrid> GridOf(const JobHistory& history) {
  const lory::v1::JobSpec& spec = history.spec();
  const SampleGrid grid = {
      .seed = static_cast<uint64_t>(spec.seed()),
      .sequence_count = history.dataset.sequence_count(),
      .step_count = spec.step_count(),
      .micro_batches = spec.micro_batch_count(),
      .micro_batch_sequences = spec.micro_batch_sequences()};
  const bool evaluates = spec.kind() == lory::v1::JobSpec::EVALUATE;
  if (grid.sequence_count <= 0 || grid.step_count < (evaluates ? 0 : 1) ||
      grid.StepSequences() <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        history.name, " has ", grid.step_count, " steps of ",
        grid.micro_batches, " x ", grid.micro_batch_sequences,
        " sequences, and ", spec.dataset(), " ", grid.sequence_count));
  }
  return grid;
}

ShareDifference ExplainSum(const std::vector<uint64_t>& fingerprints,
                           uint64_t sum) {
  const uint64_t expected =
      std::accumulate(fingerprints.begin(), fingerprints.end(), uint64_t{0});
  if (sum == expected) return {};
  const auto count = static_cast<int64_t>(fingerprints.size());
  if (sum == 0) return {count, 0, "nothing of it was trained"};
  for (int64_t i = 0; i < count; ++i) {
    if (sum == expected - fingerprints[i]) {
      return {1, 0, absl::StrCat("sample ", i, " is missing")};
    }
    if (sum == expected + fingerprints[i]) {
      return {0, 1, absl::StrCat("sample ", i, " came twice")};
    }
  }
  for (int64_t i = 0; i < count && count * count <= kMaxPairs; ++i) {
    for (int64_t j = 0; j < count; ++j) {
      if (sum == expected - fingerprints[i] + fingerprints[j]) {
        return {1, 1, absl::StrCat("sample ", j, " came in place of ", i)};
      }
    }
  }
  return {count, 0, "it trained other samples"};
}

}  // namespace lory::verify
