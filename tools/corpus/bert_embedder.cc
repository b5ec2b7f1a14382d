#include <algorithm>
#include <atomic>
#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>
#include <system_error>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "tools/corpus/embed.h"
#include "tools/corpus/embedder.h"
#include "tools/corpus/encoder/bert_encoder.h"
#include "tools/corpus/encoder/matrix_product.h"
#include "tools/corpus/encoder/word_piece.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

constexpr int64_t kUsualTokens =
    512;                       // of a text, unless the spec says another
constexpr int64_t kMarks = 2;  // [CLS] and [SEP]
constexpr int64_t kNone = std::numeric_limits<int64_t>::max();

using Tokens = std::vector<int32_t>;
using FileHash = std::pair<std::string, std::string>;

// What a row depends on beside its text.
struct BertChoices {
  Pooling pooling = Pooling::kMean;
  int64_t max_tokens = kUsualTokens;  // the two marks among them
  bool normalize = true;
};

class BertEmbedder : public Embedder {
 public:
  BertEmbedder(BertEncoder encoder, WordPiece words, const BertChoices& choices,
               std::vector<FileHash> files)
      : encoder_(std::move(encoder)),
        words_(std::move(words)),
        choices_(choices),
        files_(std::move(files)) {}

  int32_t dimensions() const override {
    return static_cast<int32_t>(encoder_.shape().hidden);
  }
  nlohmann::ordered_json options() const override {
    return {{"kind", "bert"},
            {"pooling", std::string(NameOf(choices_.pooling))},
            {"max_tokens", choices_.max_tokens},
            {"normalize", choices_.normalize}};
  }
  std::vector<FileHash> inputs() const override { return files_; }
  bool reads_texts_before() const override { return false; }
  bool is_slow() const override { return true; }
  void Prepare(const Texts& texts, const OnProgress& on_progress) override {}

  absl::StatusOr<int64_t> Embed(const Texts& texts, int64_t begin, int64_t end,
                                float* rows,
                                const OnProgress& on_progress) override {
    const OneThreadAProduct one_thread;
    std::fill(rows, rows + (end - begin) * dimensions(), 0.f);
    std::vector<Tokens> tokens(end - begin);
    std::atomic<int64_t> shortened = 0;
    ParallelFor(end - begin, 1, [&](int64_t i, int64_t) {
      bool is_short = false;
      tokens[i] = TokensOf(texts.of(begin + i), &is_short);
      if (is_short) ++shortened;
    });
    // The longest first, so that no thread is left alone with them at the end.
    std::vector<int64_t> order(end - begin);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return tokens[a].size() > tokens[b].size();
    });
    std::atomic<int64_t> first_bad = kNone;
    ParallelFor(end - begin, 1, [&](int64_t i, int64_t) {
      const int64_t text = order[i];
      if (!EmbedOne(tokens[text], rows + text * dimensions())) {
        int64_t before = first_bad.load();
        while (text < before &&
               !first_bad.compare_exchange_weak(before, text)) {
        }
      }
      on_progress(static_cast<int64_t>(texts.of(begin + text).size()));
    });
    if (first_bad != kNone) {
      return absl::InvalidArgumentError(absl::StrCat(
          "document ", begin + first_bad,
          ": the encoder's numbers go beyond fp32: its weights are not those "
          "of a trained model"));
    }
    return shortened.load();
  }

 private:
  // Empty: the text has no token.
  Tokens TokensOf(absl::string_view text, bool* is_short) const {
    const size_t room = choices_.max_tokens - kMarks;
    Tokens tokens = words_.Encode(text, room + 1);
    if (tokens.empty()) return tokens;
    *is_short = tokens.size() > room;
    if (*is_short) tokens.resize(room);
    tokens.insert(tokens.begin(), words_.list().begin);
    tokens.push_back(words_.list().end);
    return tokens;
  }

  // Whether all came out as numbers.
  bool EmbedOne(const Tokens& tokens, float* row) const {
    if (tokens.empty()) return true;
    encoder_.Encode(tokens, choices_.pooling, row);
    const bool is_finite = std::isfinite(Similarity(row, row, dimensions()));
    if (choices_.normalize) ToUnitLength(row, dimensions());
    return is_finite;
  }

  const BertEncoder encoder_;
  const WordPiece words_;
  const BertChoices choices_;
  const std::vector<FileHash> files_;
};

// The files of the model that decide on a row, with their hashes.
absl::StatusOr<std::vector<FileHash>> HashFiles(const std::string& folder) {
  std::vector<FileHash> hashes;
  for (const char* name : {"config.json", kWeightsFile, "tokenizer.json",
                           "vocab.txt", "tokenizer_config.json"}) {
    const std::string path = absl::StrCat(folder, "/", name);
    std::error_code error;
    if (!std::filesystem::exists(path, error)) continue;
    LORY_ASSIGN_OR_RETURN(std::string hash, io::FileSha256Hex(path));
    hashes.emplace_back(name, std::move(hash));
  }
  return hashes;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Embedder>> OpenBertEmbedder(
    const EncoderSpec& spec) {
  LORY_RETURN_IF_ERROR(CheckOneThreadAProduct());
  // Before they are read: a file that is replaced meanwhile must not have its
  // hash with the rows of the one before.
  LORY_ASSIGN_OR_RETURN(std::vector<FileHash> files, HashFiles(spec.model));
  LORY_ASSIGN_OR_RETURN(const BertShape shape, ReadBertShape(spec.model));
  LORY_ASSIGN_OR_RETURN(const std::string pooling, FindPoolingFile(spec.model));
  BertChoices choices = {.normalize = spec.normalize};
  if (spec.pooling.has_value()) {
    choices.pooling = *spec.pooling;
  } else {
    LORY_ASSIGN_OR_RETURN(choices.pooling, ReadPooling(spec.model, pooling));
  }
  choices.max_tokens =
      spec.max_tokens.value_or(std::min(kUsualTokens, shape.positions));
  if (shape.positions <= kMarks) {
    return absl::InvalidArgumentError(
        absl::StrCat(spec.model, "/config.json: max_position_embeddings is ",
                     shape.positions, "; two go to [CLS] and [SEP]"));
  }
  if (choices.max_tokens > shape.positions) {
    return absl::InvalidArgumentError(absl::StrCat(
        "embed.max_tokens is ", choices.max_tokens, ", but ", spec.model,
        "/config.json has positions for ", shape.positions,
        " (max_position_embeddings): that many at most"));
  }
  LORY_ASSIGN_OR_RETURN(WordPiece words, WordPiece::Load(spec.model));
  if (words.HighestId() >= shape.vocabulary) {
    return absl::InvalidArgumentError(absl::StrCat(
        spec.model, ": the tokenizer has an id ", words.HighestId(),
        ", config.json's vocab_size is ", shape.vocabulary,
        ": tokenizer and weights are not of the same model"));
  }
  LORY_ASSIGN_OR_RETURN(BertWeights weights,
                        LoadBertWeights(spec.model, shape));
  return std::make_unique<BertEmbedder>(BertEncoder(shape, std::move(weights)),
                                        std::move(words), choices,
                                        std::move(files));
}

}  // namespace lory::corpus
