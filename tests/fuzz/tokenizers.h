#ifndef LORY_TESTS_FUZZ_TOKENIZERS_H_
#define LORY_TESTS_FUZZ_TOKENIZERS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/check.h"
#include "common/text/byte_pair_model.h"
#include "common/text/tokenizer.h"
#include "nlohmann/json.hpp"

// Small tokenizers, for inputs that are texts or parts of a tokenizer's file.
namespace lory::fuzz {

// A token for every byte, then a few of several.
inline text::BytePairModel SmallModel() {
  text::BytePairModel model;
  for (const uint8_t byte : text::ByteAlphabet()) {
    model.tokens.emplace_back(1, static_cast<char>(byte));
  }
  const auto id_of = [&](absl::string_view token) {
    for (size_t id = 0; id < model.tokens.size(); ++id) {
      if (model.tokens[id] == token) return static_cast<int32_t>(id);
    }
    LORY_CHECK(false);
    return -1;
  };
  for (const auto& [left, right] :
       {std::pair{"a", "b"}, {" ", "a"}, {"ab", "ab"}, {"\n", "\n"}}) {
    model.merges.emplace_back(id_of(left), id_of(right));
    model.tokens.push_back(absl::StrCat(left, right));
  }
  return model;
}

// {"model": ...} of SmallModel, with `steps` behind it: further members of that
// object, such as a normalizer.
inline std::string SmallTokenizerJson(absl::string_view steps) {
  static const std::string model =
      nlohmann::json::parse(text::SerializeBytePairModel(SmallModel()))["model"]
          .dump();
  return absl::StrCat("{\"model\":", model, ",", steps, "}");
}

// The ids of a text are in the vocabulary, and can be told again.
inline void CheckTokens(const text::Tokenizer& tokenizer,
                        absl::string_view text) {
  const std::vector<int32_t> ids = tokenizer.Encode(text);
  for (const int32_t id : ids) {
    LORY_CHECK(id >= 0 && id < tokenizer.vocabulary_size());
    LORY_CHECK(id != tokenizer.end_of_document_id());
    tokenizer.TokenText(id);
  }
  tokenizer.Decode(ids);
}

}  // namespace lory::fuzz

#endif  // LORY_TESTS_FUZZ_TOKENIZERS_H_
