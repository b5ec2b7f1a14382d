#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_MADE_UP_DATASET_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_MADE_UP_DATASET_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
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

// A third of the documents again with the last word changed.
inline std::string WithNearCopies(const std::string& corpus) {
  std::string lines = corpus;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(corpus, '\n')) {
    if (line.empty() || ++number % 3 != 0) continue;
    absl::StrAppend(&lines, absl::StrReplaceAll(line, {{" \"", " changed\""}}),
                    "\n");
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
