#include "worker/train/control_words.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "common/base/check.h"

namespace lory::train {
namespace {

constexpr int kPieceBits = 16;
constexpr int kCountPieces = 3;
constexpr int kWholePieces = 4;

// Writes and reads the fields of a word in one order, so that encoding and
// decoding cannot disagree.
class Encoder {
 public:
  explicit Encoder(std::span<float> floats) : rest_(floats) {}
  void Bits(uint64_t value, int pieces) {
    for (int i = 0; i < pieces; ++i) {
      rest_[i] = static_cast<float>((value >> (i * kPieceBits)) & 0xffff);
    }
    rest_ = rest_.subspan(pieces);
  }
  void Count(const int64_t& value) {
    LORY_CHECK(value >= 0 && value >> (kCountPieces * kPieceBits) == 0);
    Bits(static_cast<uint64_t>(value), kCountPieces);
  }
  void Flag(const bool& value) { Bits(value ? 1 : 0, 1); }
  void Whole(const uint64_t& value) { Bits(value, kWholePieces); }
  void Real(const double& value) {
    Bits(std::bit_cast<uint64_t>(value), kWholePieces);
  }

 private:
  std::span<float> rest_;
};

class Decoder {
 public:
  explicit Decoder(std::span<const float> floats) : rest_(floats) {}
  uint64_t Bits(int pieces) {
    uint64_t value = 0;
    for (int i = 0; i < pieces; ++i) {
      value |= static_cast<uint64_t>(rest_[i]) << (i * kPieceBits);
    }
    rest_ = rest_.subspan(pieces);
    return value;
  }
  void Count(int64_t& value) {
    value = static_cast<int64_t>(Bits(kCountPieces));
  }
  void Flag(bool& value) { value = Bits(1) != 0; }
  void Whole(uint64_t& value) { value = Bits(kWholePieces); }
  void Real(double& value) {
    value = std::bit_cast<double>(Bits(kWholePieces));
  }

 private:
  std::span<const float> rest_;
};

class Sizer {
 public:
  void Count(const int64_t&) { size_ += kCountPieces; }
  void Flag(const bool&) { size_ += 1; }
  void Whole(const uint64_t&) { size_ += kWholePieces; }
  void Real(const double&) { size_ += kWholePieces; }
  int64_t size() const { return size_; }

 private:
  int64_t size_ = 0;
};

template <typename Visitor, typename Word>
void Visit(Visitor& visitor, Word& word) {
  visitor.Count(word.token_count);
  visitor.Real(word.loss_sum);
  visitor.Real(word.auxiliary_sum);
  visitor.Flag(word.leave);
  visitor.Flag(word.stop);
  visitor.Flag(word.writing);
  visitor.Count(word.checkpoint_held);
  visitor.Count(word.checkpoint_acted);
  visitor.Count(word.round_held);
  visitor.Whole(word.fingerprint_sum);
  visitor.Real(word.compute_seconds);
  visitor.Count(word.resident_bytes);
}

}  // namespace

int64_t ControlWordSize() {
  Sizer sizer;
  const ControlWord word;
  Visit(sizer, word);
  return sizer.size();
}

std::vector<float> EncodeControlWord(const ControlWord& word, int rank,
                                     int world) {
  const int64_t size = ControlWordSize();
  std::vector<float> floats(size * world);
  Encoder encoder(std::span<float>(floats).subspan(rank * size, size));
  Visit(encoder, word);
  return floats;
}

std::vector<ControlWord> DecodeControlWords(std::span<const float> sum) {
  const int64_t size = ControlWordSize();
  std::vector<ControlWord> words(sum.size() / size);
  for (size_t rank = 0; rank < words.size(); ++rank) {
    Decoder decoder(sum.subspan(rank * size, size));
    Visit(decoder, words[rank]);
  }
  return words;
}

Decision Decide(std::span<const ControlWord> words) {
  Decision decision;
  int64_t acted = 0;
  decision.common_round = std::numeric_limits<int64_t>::max();
  for (const ControlWord& word : words) {
    decision.token_count += word.token_count;
    decision.loss_sum += word.loss_sum;
    decision.auxiliary_sum += word.auxiliary_sum;
    decision.leave |= word.leave;
    decision.stop |= word.stop;
    decision.writing |= word.writing;
    decision.checkpoint_order =
        std::max(decision.checkpoint_order, word.checkpoint_held);
    acted = std::max(acted, word.checkpoint_acted);
    decision.common_round = std::min(decision.common_round, word.round_held);
    decision.fingerprint_sum += word.fingerprint_sum;
    decision.compute_seconds =
        std::max(decision.compute_seconds, word.compute_seconds);
    decision.resident_bytes += word.resident_bytes;
  }
  decision.checkpoint = decision.checkpoint_order > acted;
  decision.checkpoint_order = std::max(decision.checkpoint_order, acted);
  return decision;
}

}  // namespace lory::train
