#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_HASHED_ROWS_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_HASHED_ROWS_H_

#include <string>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tools/corpus/embedder.h"

namespace lory::corpus {

// The rows of all texts at once by MakeHashedTfIdf.
inline std::vector<float> HashedRows(const std::vector<std::string>& texts,
                                     int32_t dimensions) {
  const auto embedder = MakeHashedTfIdf(dimensions);
  const Texts all{static_cast<int64_t>(texts.size()),
                  [&](int64_t i) { return absl::string_view(texts[i]); }};
  embedder->Prepare(all, [](int64_t) {});
  std::vector<float> rows(all.count * dimensions);
  EXPECT_OK(embedder->Embed(all, 0, all.count, rows.data(), [](int64_t) {}));
  return rows;
}

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_HASHED_ROWS_H_
