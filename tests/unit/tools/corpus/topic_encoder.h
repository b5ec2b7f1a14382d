#ifndef LORY_TESTS_UNIT_TOOLS_CORPUS_TOPIC_ENCODER_H_
#define LORY_TESTS_UNIT_TOOLS_CORPUS_TOPIC_ENCODER_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/corpus/encoder/made_up_bert.h"

namespace lory::corpus {

// A folder with an encoder of random weights that has the pieces of the words
// of TopicLines.
inline std::string WriteTopicEncoder(const testing::TemporaryFolder& folder,
                                     const std::string& name) {
  const std::string model = MadeUpBert().Write(folder, name);
  std::string words = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\ntopic\n##word\n";
  for (int i = 0; i < 10; ++i) absl::StrAppend(&words, "##", i, "\n");
  folder.Write(name + "/vocab.txt", words);
  return model;
}

}  // namespace lory::corpus

#endif  // LORY_TESTS_UNIT_TOOLS_CORPUS_TOPIC_ENCODER_H_
