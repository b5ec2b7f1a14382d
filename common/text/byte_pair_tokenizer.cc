#include "common/text/byte_pair_tokenizer.h"

#include <functional>
#include <queue>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lory::text {
namespace {

// Up to here a quadratic search beats a queue.
constexpr size_t kShortWordBytes = 48;

uint64_t PairKey(int32_t left, int32_t right) {
  return (uint64_t{static_cast<uint32_t>(left)} << 32) |
         static_cast<uint32_t>(right);
}

}  // namespace

BytePairTokenizer::BytePairTokenizer(BytePairModel model)
    : model_(std::move(model)) {
  absl::flat_hash_map<absl::string_view, int32_t> ids;
  for (size_t id = 0; id < model_.tokens.size(); ++id) {
    if (!model_.tokens[id].empty()) {
      ids.emplace(model_.tokens[id], static_cast<int32_t>(id));
    }
  }
  for (int byte = 0; byte < 256; ++byte) {
    byte_ids_[byte] = ids.at(std::string(1, static_cast<char>(byte)));
  }
  for (size_t rank = 0; rank < model_.merges.size(); ++rank) {
    const auto& [left, right] = model_.merges[rank];
    const int32_t id = ids.at(model_.tokens[left] + model_.tokens[right]);
    merges_.emplace(PairKey(left, right),
                    Merge{static_cast<int32_t>(rank), id});
  }
  // A token need not be what its own bytes become, so each is tried.
  std::vector<int32_t> out;
  for (const auto& [token, id] : ids) {
    out.clear();
    EncodeWord(token, &out);
    if (out.size() == 1 && out[0] == id) {
      whole_words_.emplace(std::string(token), id);
    }
  }
}

std::vector<int32_t> BytePairTokenizer::Encode(absl::string_view text) const {
  std::vector<int32_t> ids;
  ids.reserve(text.size() / 3);
  while (!text.empty()) {
    const absl::string_view word = text.substr(0, FirstWordBytes(text));
    const auto whole = whole_words_.find(word);
    if (whole != whole_words_.end()) {
      ids.push_back(whole->second);
    } else {
      EncodeWord(word, &ids);
    }
    text.remove_prefix(word.size());
  }
  return ids;
}

std::string BytePairTokenizer::Decode(const std::vector<int32_t>& ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id >= 0 && id < vocabulary_size()) text += model_.tokens[id];
  }
  return text;
}

const BytePairTokenizer::Merge* BytePairTokenizer::FindMerge(
    int32_t left, int32_t right) const {
  const auto found = merges_.find(PairKey(left, right));
  return found == merges_.end() ? nullptr : &found->second;
}

void BytePairTokenizer::EncodeWord(absl::string_view word,
                                   std::vector<int32_t>* ids) const {
  std::vector<int32_t> parts;
  parts.reserve(word.size());
  for (const char c : word) {
    parts.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  }
  if (word.size() <= kShortWordBytes) {
    JoinShort(&parts);
  } else {
    JoinLong(&parts);
  }
  ids->insert(ids->end(), parts.begin(), parts.end());
}

void BytePairTokenizer::JoinShort(std::vector<int32_t>* ids) const {
  while (true) {
    const Merge* best = nullptr;
    size_t place = 0;
    for (size_t i = 0; i + 1 < ids->size(); ++i) {
      const Merge* merge = FindMerge((*ids)[i], (*ids)[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) {
        best = merge;
        place = i;
      }
    }
    if (best == nullptr) return;
    (*ids)[place] = best->id;
    ids->erase(ids->begin() + static_cast<int64_t>(place) + 1);
  }
}

// The same joins by a queue over a linked list: n log n, for words that an
// adversary (or a base64 blob) makes long.
void BytePairTokenizer::JoinLong(std::vector<int32_t>* ids) const {
  constexpr int32_t kGone = -1;
  const int32_t count = static_cast<int32_t>(ids->size());
  std::vector<int32_t> next(count), previous(count);
  for (int32_t i = 0; i < count; ++i) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  using Candidate = std::tuple<int32_t, int32_t, int32_t, int32_t>;
  // (rank, place, left id, right id); stale when the ids have changed.
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> queue;
  const auto offer = [&](int32_t left) {
    if (left < 0 || next[left] >= count) return;
    const int32_t left_id = (*ids)[left];
    const int32_t right_id = (*ids)[next[left]];
    if (const Merge* merge = FindMerge(left_id, right_id)) {
      queue.emplace(merge->rank, left, left_id, right_id);
    }
  };
  for (int32_t i = 0; i + 1 < count; ++i) offer(i);
  while (!queue.empty()) {
    const auto [rank, left, left_id, right_id] = queue.top();
    queue.pop();
    const int32_t right = next[left];
    if ((*ids)[left] != left_id || right >= count ||
        (*ids)[right] != right_id) {
      continue;
    }
    (*ids)[left] = FindMerge(left_id, right_id)->id;
    (*ids)[right] = kGone;
    next[left] = next[right];
    if (next[left] < count) previous[next[left]] = left;
    offer(previous[left]);
    offer(left);
  }
  std::erase(*ids, kGone);
}

}  // namespace lory::text
