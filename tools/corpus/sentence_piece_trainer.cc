#include "tools/corpus/sentence_piece_trainer.h"

#include <sentencepiece_trainer.h>

#include <unordered_map>

namespace lory::corpus {
namespace {

// SentencePiece's own way to ask for the next one.
class Sentences final : public sentencepiece::SentenceIterator {
 public:
  explicit Sentences(const std::vector<std::string>& sentences)
      : sentences_(sentences) {}

  bool done() const override { return place_ >= sentences_.size(); }
  void Next() override { ++place_; }
  const std::string& value() const override { return sentences_[place_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& sentences_;
  size_t place_ = 0;
};

}  // namespace

std::string TrainSentencePieces(const std::vector<std::string>& sentences,
                                int64_t vocabulary_size, std::string* error) {
  const std::unordered_map<std::string, std::string> options = {
      {"model_type", "bpe"},
      {"vocab_size", std::to_string(vocabulary_size)},
      {"hard_vocab_limit", "false"},
      {"byte_fallback", "true"},
      {"character_coverage", "0.99995"},
      {"normalization_rule_name", "identity"},
      {"remove_extra_whitespaces", "false"},
      {"split_digits", "true"},
      {"allow_whitespace_only_pieces", "true"},
      {"max_sentence_length", std::to_string(kMostSentenceBytes)},
      {"shuffle_input_sentence", "false"},
      {"num_threads", "1"},
      {"minloglevel", "2"}};
  Sentences iterator(sentences);
  std::string model;
  const auto status =
      sentencepiece::SentencePieceTrainer::Train(options, &iterator, &model);
  if (!status.ok()) {
    *error = status.ToString();
    return "";
  }
  return model;
}

}  // namespace lory::corpus
