#ifndef LORY_TESTS_UNIT_WORKER_SERVE_SERVED_H_
#define LORY_TESTS_UNIT_WORKER_SERVE_SERVED_H_

#include <ATen/core/grad_mode.h>
#include <ATen/ops/cat.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "common/text/tokenizer.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/model/models.h"
#include "worker/serve/decoder.h"
#include "worker/serve/served_model.h"

namespace lory::serve {

// A model of test_models.h as its trainer has it and as the server has it.
struct Served {
  explicit Served(const lory::v1::ModelSpec& spec, uint64_t seed = 1)
      : trained(lory::model::MakeModel(spec, seed)) {
    auto opened = ServedModel::Open(
        lory::surgery::WriteModel(folder.At("model"), spec, seed),
        SlotFilling::kPrompt);
    EXPECT_OK(opened);
    model = *std::move(opened);
  }

  lory::testing::TemporaryFolder folder;
  std::unique_ptr<lory::model::Transformer> trained;
  std::unique_ptr<ServedModel> model;
};

inline constexpr int64_t kPlenty = 1 << 30;

inline const std::vector<int64_t> kTokens = {3, 17, 0,  5, 11, 2,
                                             2, 9,  14, 1, 7,  12};

inline std::span<const int64_t> First(int64_t count) {
  return std::span(kTokens).first(static_cast<size_t>(count));
}

// Logits after every token: of the prompt at once, of the rest one by one.
inline at::Tensor TokenByToken(
    const ServedModel& model, int64_t prompt, Inference inference,
    std::vector<std::vector<Routing>>* routing = nullptr) {
  const at::NoGradGuard no_grad;
  MergedCache cache(model, kPlenty);
  Decoder decoder(model, cache);
  SequenceState state;
  const PromptPass pass =
      decoder.ReadPrompt(First(prompt), prompt, inference,
                         static_cast<int64_t>(kTokens.size()), state);
  std::vector<at::Tensor> rows = {decoder.Logits(pass.hidden_LD)};
  SequenceState* const states[] = {&state};
  for (size_t i = prompt; i < kTokens.size(); ++i) {
    rows.push_back(decoder.Step(states, std::span(&kTokens[i], 1)));
  }
  if (routing != nullptr) *routing = decoder.RoutingOf(pass, inference);
  return at::cat(rows, 0);
}

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
