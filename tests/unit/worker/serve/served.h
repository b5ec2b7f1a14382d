#ifndef LORY_TESTS_UNIT_WORKER_SERVE_SERVED_H_
#define LORY_TESTS_UNIT_WORKER_SERVE_SERVED_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/text/tokenizer.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/model/models.h"
#include "worker/serve/served_model.h"

namespace lory::serve {

// A model of test_models.h as its trainer has it and as the server has it.
struct Served {
  explicit Served(const lory::v1::ModelSpec& spec, uint64_t seed = 1)
      : trained(lory::model::MakeModel(spec, seed)) {
    auto opened = ServedModel::Open(
        lory::surgery::WriteModel(folder.At("model"), spec, seed));
    EXPECT_OK(opened);
    model = *std::move(opened);
  }

  lory::testing::TemporaryFolder folder;
  std::unique_ptr<lory::model::Transformer> trained;
  std::unique_ptr<ServedModel> model;
};

// Token i is the letter a + i; the last one ends a document.
class LetterTokenizer final : public lory::text::Tokenizer {
 public:
  int64_t vocabulary_size() const override { return lory::model::kVocabulary; }
  int32_t end_of_document_id() const override {
    return lory::model::kVocabulary - 1;
  }
  std::vector<int32_t> Encode(absl::string_view text) const override {
    std::vector<int32_t> ids;
    for (const char c : text) ids.push_back((c - 'a') % end_of_document_id());
    return ids;
  }
  std::string Decode(const std::vector<int32_t>& ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id != end_of_document_id()) text += static_cast<char>('a' + id);
    }
    return text;
  }
};

}  // namespace lory::serve

#endif  // LORY_TESTS_UNIT_WORKER_SERVE_SERVED_H_
