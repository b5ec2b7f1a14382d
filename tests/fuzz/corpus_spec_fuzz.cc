// corpus.yaml: every mistake is told with the file's name; what was read keeps
// the ranges that the build relies on.
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/corpus_spec.h"

namespace lory::corpus {
namespace {

void CheckSpec(const CorpusSpec& spec) {
  LORY_CHECK(!spec.inputs.empty() && !spec.output.empty());
  for (const CorpusInput& input : spec.inputs) {
    LORY_CHECK(absl::StartsWith(input.path, "/"));
    LORY_CHECK(input.domain.empty() || IsDomainName(input.domain));
  }
  LORY_CHECK(spec.held_out_fraction >= 0 && spec.held_out_fraction <= 0.5);
  LORY_CHECK(spec.near_duplicate > 0 && spec.near_duplicate <= 1);
  LORY_CHECK(spec.shingle_overlap >= 0 && spec.shingle_overlap <= 1);
  LORY_CHECK(spec.sequence_length > 0 && spec.shard_megabytes > 0);
  LORY_CHECK(spec.embed_dimensions > 0 && spec.vocabulary_size > 256);
  LORY_CHECK(spec.neighbors.k > 0);
  double shares = 0;
  for (const auto& [domain, share] : spec.mixture) {
    LORY_CHECK(share >= 0);
    shares += share;
  }
  LORY_CHECK(spec.mixture.empty() || shares > 0);
}

}  // namespace

LORY_FUZZ(input) {
  const auto spec = ParseCorpusSpec(input, "corpus.yaml", "/data");
  fuzz::CheckError(spec.status(), {absl::StatusCode::kInvalidArgument});
  if (spec.ok()) {
    CheckSpec(*spec);
  } else {
    LORY_CHECK(absl::StartsWith(spec.status().message(), "corpus.yaml"));
  }
}

}  // namespace lory::corpus
