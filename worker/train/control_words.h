#ifndef LORY_WORKER_TRAIN_CONTROL_WORDS_H_
#define LORY_WORKER_TRAIN_CONTROL_WORDS_H_

#include <cstdint>
#include <span>
#include <vector>

// What ranks tell each other beside the gradient of a step. docs/protocol.md,
// "Steps, samples and control words".
namespace lory::train {

// What one rank says.
struct ControlWord {
  int64_t token_count = 0;
  double loss_sum = 0;  // over its tokens, in nats
  // What is minimised beside it, in the same measure; ForwardResult.
  double auxiliary_sum = 0;
  bool leave = false;    // told to prepare another generation
  bool stop = false;     // told to stop after a checkpoint
  bool writing = false;  // its part of the last checkpoint
  // Newest checkpoint demand it was told of, and newest one acted on.
  int64_t checkpoint_held = 0;
  int64_t checkpoint_acted = 0;
  int64_t round_held = 0;        // newest round
  uint64_t fingerprint_sum = 0;  // of its samples
  double compute_seconds = 0;    // without waiting for peers
  int64_t resident_bytes = 0;

  bool operator==(const ControlWord&) const = default;
};

// Floats that one rank's word takes.
int64_t ControlWordSize();

// A buffer of `world` words: this rank's filled in, the others zero, so that
// the sum over ranks holds everyone's. Numbers are cut into 16-bit pieces,
// which floats carry exactly. Counts must be in [0, 2^48).
std::vector<float> EncodeControlWord(const ControlWord& word, int rank,
                                     int world);

// The words in a summed buffer, by rank.
std::vector<ControlWord> DecodeControlWords(std::span<const float> sum);

// What all ranks do after the step, from what any of them was told. Equal on
// all, because the words are.
struct Decision {
  int64_t token_count = 0;
  double loss_sum = 0;
  double auxiliary_sum = 0;
  bool leave = false;
  bool stop = false;
  bool writing = false;     // somebody is not done with the last checkpoint
  bool checkpoint = false;  // somebody holds a demand nobody acted on
  int64_t checkpoint_order = 0;  // newest demand held by anyone
  int64_t common_round = 0;      // newest round that all hold
  uint64_t fingerprint_sum = 0;
  double compute_seconds = 0;  // of the slowest rank
  int64_t resident_bytes = 0;  // of all ranks
};
Decision Decide(std::span<const ControlWord> words);

}  // namespace lory::train

#endif  // LORY_WORKER_TRAIN_CONTROL_WORDS_H_
