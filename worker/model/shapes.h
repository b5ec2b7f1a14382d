#ifndef LORY_WORKER_MODEL_SHAPES_H_
#define LORY_WORKER_MODEL_SHAPES_H_

// Legend of the letters that tensor names end in: hidden_BLD has the
// dimensions batch, token, width.
//
//   B  sequences of a micro-batch
//   L  tokens of a sequence
//   D  width of the hidden state
//   F  inner width of a feed-forward
//   E  experts
//   N  segments of a sequence, L / T
//   T  tokens of a segment
//   S  segments of a micro-batch, B * N
//   H  attention heads (G: heads of keys and values)
//   K  width of a head
//   V  vocabulary
//   R  rows: tokens of a micro-batch, B * L, or what is routed as one

#endif  // LORY_WORKER_MODEL_SHAPES_H_
