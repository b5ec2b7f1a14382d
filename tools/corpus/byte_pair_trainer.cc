#include "tools/corpus/byte_pair_trainer.h"

#include <algorithm>
#include <queue>
#include <tuple>

namespace lory::corpus {
namespace {

using Pair = std::pair<int32_t, int32_t>;

struct Word {
  std::vector<int32_t> tokens;
  int64_t count = 0;
};

// The words as they stand, and how often every pair stands in them.
class Training {
 public:
  Training(const WordCounts& counts, text::BytePairModel* model)
      : model_(model) {
    std::vector<int32_t> byte_ids(256);
    model_->tokens.push_back("");
    model_->end_of_document_id = 0;
    for (const uint8_t byte : text::ByteAlphabet()) {
      byte_ids[byte] = static_cast<int32_t>(model_->tokens.size());
      model_->tokens.push_back(std::string(1, static_cast<char>(byte)));
    }
    for (size_t id = 1; id < model_->tokens.size(); ++id) {
      ids_[model_->tokens[id]] = static_cast<int32_t>(id);
    }
    words_.reserve(counts.size());
    for (const auto& [text, count] : counts) {
      Word& word = words_.emplace_back();
      word.count = count;
      for (const char c : text) {
        word.tokens.push_back(byte_ids[static_cast<unsigned char>(c)]);
      }
    }
    for (size_t i = 0; i < words_.size(); ++i) {
      const std::vector<int32_t>& tokens = words_[i].tokens;
      for (size_t j = 0; j + 1 < tokens.size(); ++j) {
        Add({tokens[j], tokens[j + 1]}, words_[i].count, i);
      }
    }
    changed_.clear();
    for (const auto& [pair, count] : pair_counts_) Offer(pair, count);
  }

  // Joins the most frequent pair. False: none is left.
  bool JoinOne() {
    while (!queue_.empty()) {
      const auto [count, negative_left, negative_right] = queue_.top();
      queue_.pop();
      const Pair pair(-negative_left, -negative_right);
      const int64_t now = pair_counts_[pair];
      if (now != count) {  // out of date: back in line with what is true
        if (now >= kMinPairCount) Offer(pair, now);
        continue;
      }
      if (count < kMinPairCount) return false;
      Join(pair);
      return true;
    }
    return false;
  }

 private:
  void Add(const Pair& pair, int64_t count, size_t word) {
    pair_counts_[pair] += count;
    if (count <= 0) return;
    std::vector<int32_t>& places = places_[pair];
    // A word's pairs come one after the other: enough to drop repeats.
    if (places.empty() || places.back() != static_cast<int32_t>(word)) {
      places.push_back(static_cast<int32_t>(word));
    }
    changed_.push_back(pair);
  }

  void Offer(const Pair& pair, int64_t count) {
    // The queue gives the largest first: smaller ids must look larger.
    queue_.emplace(count, -pair.first, -pair.second);
  }

  void Join(const Pair& pair) {
    const std::string bytes =
        model_->tokens[pair.first] + model_->tokens[pair.second];
    const auto [found, is_new] =
        ids_.emplace(bytes, static_cast<int32_t>(model_->tokens.size()));
    if (is_new) model_->tokens.push_back(bytes);
    model_->merges.push_back(pair);
    changed_.clear();
    const std::vector<int32_t> places = std::move(places_[pair]);
    places_.erase(pair);
    for (const int32_t place : places) JoinIn(place, pair, found->second);
    pair_counts_.erase(pair);
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()),
                   changed_.end());
    for (const Pair& changed : changed_) {
      if (changed != pair) Offer(changed, pair_counts_[changed]);
    }
  }

  void JoinIn(int32_t place, const Pair& pair, int32_t joined) {
    Word& word = words_[place];
    std::vector<int32_t>& tokens = word.tokens;
    size_t out = 0;
    for (size_t in = 0; in < tokens.size(); ++in) {
      const bool here = tokens[in] == pair.first && in + 1 < tokens.size() &&
                        tokens[in + 1] == pair.second;
      if (!here) {
        tokens[out++] = tokens[in];
        continue;
      }
      if (out > 0) {
        Add({tokens[out - 1], pair.first}, -word.count, place);
        Add({tokens[out - 1], joined}, word.count, place);
      }
      if (in + 2 < tokens.size()) {
        Add({pair.second, tokens[in + 2]}, -word.count, place);
        Add({joined, tokens[in + 2]}, word.count, place);
      }
      tokens[out++] = joined;
      ++in;
    }
    tokens.resize(out);
  }

  text::BytePairModel* const model_;
  std::vector<Word> words_;
  absl::flat_hash_map<std::string, int32_t> ids_;
  absl::flat_hash_map<Pair, int64_t> pair_counts_;
  absl::flat_hash_map<Pair, std::vector<int32_t>> places_;
  std::vector<Pair> changed_;
  std::priority_queue<std::tuple<int64_t, int32_t, int32_t>> queue_;
};

}  // namespace

void CountWords(absl::string_view text, WordCounts* counts) {
  while (!text.empty()) {
    const size_t bytes = text::FirstWordBytes(text);
    ++(*counts)[text.substr(0, bytes)];
    text.remove_prefix(bytes);
  }
}

text::BytePairModel TrainBytePairs(const WordCounts& counts,
                                   int64_t vocabulary_size,
                                   const std::function<void()>& on_merge) {
  text::BytePairModel model;
  Training training(counts, &model);
  while (static_cast<int64_t>(model.tokens.size()) < vocabulary_size &&
         training.JoinOne()) {
    on_merge();
  }
  return model;
}

}  // namespace lory::corpus
