#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_MADE_UP_DATASET_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_MADE_UP_DATASET_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/random.h"
#include "tests/support/temporary_folder.h"
#include "tools/corpus/corpus_spec.h"

namespace lory::corpus {

// JSON lines of two domains of three topics each, every topic with words of its
// own.
inline std::string TopicLines(int count = 240) {
  Random random(1);
  std::string lines;
  for (int i = 0; i < count; ++i) {
    const int topic = static_cast<int>(random.Below(6));
    std::string text;
    for (int j = 0; j < 40; ++j) {
      absl::StrAppend(&text, "topic", topic, "word", random.Below(30), " ");
    }
    absl::StrAppend(&lines, "{\"id\":\"", topic, "/", i, "\",\"text\":\"", text,
                    "\",\"domain\":\"d", topic % 2, "\"}\n");
  }
  return lines;
}

// How a dataset is built of them, into "out".
inline CorpusSpec TopicSpec(const testing::TemporaryFolder& folder) {
  CorpusSpec spec;
  spec.name = "test";
  spec.output = folder.At("out");
  spec.inputs = {{.path = folder.Write("in.jsonl", TopicLines())}};
  spec.vocabulary_size = 290;
  spec.embed_dimensions = 256;
  spec.neighbors.k = 5;
  spec.sequence_length = 64;
  spec.held_out_fraction = 0.05;
  return spec;
}

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_MADE_UP_DATASET_H_
