#ifndef LORY_TOOLS_MODEL_EVAL_VARIANT_FACTS_H_
#define LORY_TOOLS_MODEL_EVAL_VARIANT_FACTS_H_

#include <cstdint>
#include <string>

#include "common/config/model_shape.h"

// What an evaluation must know of a variant of the feed-forward: docs/model.md.
namespace lory::eval {

// What a router decides as one.
enum class Unit { kNone, kToken, kSegment, kSequence };

struct VariantFacts {
  // No position sees a later one but those of `leak_length`; where false the
  // loss is of no position the likelihood of the text.
  bool is_causal = true;
  // Positions of a sequence, from the first, that see later ones of the same
  // number: the first segment or pool. 0: none does.
  int64_t leak_length = 0;
  Unit unit = Unit::kNone;
  // Whether a sequence's first two decisions are one and the same.
  bool repeats_first = false;
};

// Of a model as it is at inference; a dense phase is a dense model.
VariantFacts FactsOf(const lory::config::ModelShape& shape);

// "causal", "the first 64 positions see each other", "not causal".
std::string DescribeCausality(const VariantFacts& facts);

// "token", "segment", "sequence"; empty for none.
std::string NameOf(Unit unit);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_VARIANT_FACTS_H_
