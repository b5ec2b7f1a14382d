#ifndef LORY_TESTS_UNIT_TOOLS_MODEL_EVAL_EVAL_DATA_H_
#define LORY_TESTS_UNIT_TOOLS_MODEL_EVAL_EVAL_DATA_H_

#include <ATen/core/grad_mode.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/base/hash.h"
#include "common/base/random.h"
#include "common/data/dataset_manifest.h"
#include "common/data/shard_file.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_model.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/worker/model/test_models.h"
#include "tests/unit/worker/model/variant_fixture.h"

// Text, tokenizer and oracles for tests of the evaluation.
namespace lory::eval {

// The 256 bytes and an end of document.
inline constexpr int64_t kByteVocabulary = 257;
inline constexpr int64_t kEndOfDocument = 256;

inline std::string WriteByteTokenizer(const testing::TemporaryFolder& folder) {
  lory::text::BytePairModel model;
  for (const uint8_t byte : lory::text::ByteAlphabet()) {
    model.tokens.emplace_back(1, static_cast<char>(byte));
  }
  model.tokens.emplace_back();
  model.end_of_document_id = kEndOfDocument;
  return folder.Write("data/tokenizer.json", SerializeBytePairModel(model));
}

// Its tokens of `text`: one a byte, in an order of its own.
inline std::vector<int64_t> ByteTokens(const std::string& text) {
  const auto alphabet = lory::text::ByteAlphabet();
  std::vector<int64_t> tokens;
  for (const char letter : text) {
    tokens.push_back(std::find(alphabet.begin(), alphabet.end(),
                               static_cast<uint8_t>(letter)) -
                     alphabet.begin());
  }
  return tokens;
}

// A model of that vocabulary.
inline lory::v1::ModelSpec OfBytes(lory::v1::ModelSpec spec) {
  spec.set_vocabulary_size(kByteVocabulary);
  return spec;
}

// A dataset of random bytes with two held-out domains, "seen" of five sequences
// and "unseen", kept out, of three; beside the tokenizer. Returns its folder.
inline std::string WriteByteDataset(const testing::TemporaryFolder& folder,
                                    int64_t length = lory::model::kLength) {
  lory::data::DatasetManifest manifest;
  manifest.name = "bytes";
  manifest.order = "random";
  manifest.sequence_length = static_cast<int32_t>(length);
  manifest.vocabulary_size = kByteVocabulary;
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_sha256 =
      Sha256Hex(*io::LocalStorage().Read(WriteByteTokenizer(folder)));
  Random random(3);
  const auto write = [&](const char* name, int64_t count) {
    auto writer = lory::data::ShardWriter::Create(
        folder.At(std::string("data/") + name), length + 1, kByteVocabulary);
    LORY_CHECK(writer.ok());
    std::vector<int32_t> tokens(length + 1);
    for (int64_t i = 0; i < count; ++i) {
      for (int32_t& token : tokens) {
        token = static_cast<int32_t>(random.Below(kByteVocabulary));
      }
      LORY_CHECK((*writer)->Append(tokens).ok());
    }
    auto entry = (*writer)->Finish();
    LORY_CHECK(entry.ok());
    return *std::move(entry);
  };
  manifest.shards.push_back(write("train-0", 1));
  manifest.held_out.push_back({"seen", write("held-out-seen", 5)});
  manifest.held_out.push_back({"unseen", write("held-out-unseen", 3), true});
  folder.Write("data/manifest.json",
               lory::data::SerializeDatasetManifest(manifest));
  return folder.At("data");
}

// What follows each of `tokens` but the last, by all logits in fp64: the
// log-probability of the next.
inline std::vector<double> LogProbabilities(
    const lory::model::Transformer& model, std::vector<int64_t> tokens) {
  at::NoGradGuard no_grad;
  const int64_t count = static_cast<int64_t>(tokens.size()) - 1;
  const at::Tensor input = at::tensor(tokens).narrow(0, 0, count);
  const at::Tensor all_LV =
      at::log_softmax(model.Logits(input.unsqueeze(0))[0].to(at::kDouble), -1);
  std::vector<double> found;
  for (int64_t i = 0; i < count; ++i) {
    found.push_back(all_LV[i][tokens[i + 1]].item<double>());
  }
  return found;
}

}  // namespace lory::eval

#endif  // LORY_TESTS_UNIT_TOOLS_MODEL_EVAL_EVAL_DATA_H_
