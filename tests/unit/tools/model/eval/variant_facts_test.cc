#include "tools/model/eval/variant_facts.h"

#include <ATen/core/grad_mode.h>

#include "gtest/gtest.h"
#include "tests/unit/worker/model/test_models.h"
#include "tests/unit/worker/model/variant_fixture.h"

namespace lory::eval {
namespace {

using ::lory::model::DenseSpec;
using ::lory::model::kLength;
using ::lory::model::kSegment;
using ::lory::model::kVocabulary;
using ::lory::model::LorySpec;
using ::lory::v1::LoryFeedForward;

// Whether position `i` sees a later one, and the last that any position sees
// before it.
struct Seen {
  bool ahead = false;
  int64_t leak_length = 0;
};

Seen Probe(const lory::model::Transformer& model) {
  at::NoGradGuard no_grad;
  Seen seen;
  const at::Tensor tokens = lory::model::RandomTokens(1);
  const at::Tensor before = model.Logits(tokens);
  for (int64_t position = 1; position < kLength; ++position) {
    at::Tensor changed = tokens.clone();
    changed[0][position] = (tokens[0][position] + 1) % kVocabulary;
    const at::Tensor moved_L =
        (model.Logits(changed) - before).abs().amax(-1)[0] > 1e-6;
    if (!moved_L.narrow(0, 0, position).any().item<bool>()) continue;
    seen.ahead = true;
    seen.leak_length = position + 1;
  }
  return seen;
}

struct Case {
  lory::v1::ModelSpec spec;
  Unit unit;
};

std::vector<Case> Cases() {
  std::vector<Case> cases = {
      {DenseSpec(), Unit::kNone},
      {LorySpec(LoryFeedForward::UNIFORM), Unit::kSegment},
      {LorySpec(LoryFeedForward::LEARNED), Unit::kSegment}};
  const Unit units[] = {Unit::kSegment,  Unit::kSequence, Unit::kSegment,
                        Unit::kSequence, Unit::kSequence, Unit::kSequence};
  const auto leaking = lory::model::LeakingSpecs();
  for (size_t i = 0; i < leaking.size(); ++i) {
    cases.push_back({leaking[i], units[i]});
  }
  Case token{DenseSpec(), Unit::kToken};
  auto* choice = token.spec.mutable_feed_forward()->mutable_token_choice();
  choice->set_expert_count(4);
  choice->set_top_k(2);
  cases.push_back(token);
  Case expert{DenseSpec(), Unit::kToken};
  auto* chosen = expert.spec.mutable_feed_forward()->mutable_expert_choice();
  chosen->set_expert_count(4);
  chosen->set_capacity_factor(2);
  cases.push_back(expert);
  Case soft{DenseSpec(), Unit::kToken};
  auto* slots = soft.spec.mutable_feed_forward()->mutable_soft_moe();
  slots->set_expert_count(3);
  slots->set_slots_per_expert(2);
  slots->set_allow_noncausal(true);
  cases.push_back(soft);
  return cases;
}

TEST(VariantFacts, SayWhatAModelSeesAhead) {
  const lory::model::SingleThread single_thread;
  at::manual_seed(9);
  for (const Case& each : Cases()) {
    const auto model = lory::model::MakeModel(each.spec);
    const VariantFacts facts = FactsOf(model->shape());
    const Seen seen = Probe(*model);
    EXPECT_EQ(facts.unit, each.unit) << each.spec.ShortDebugString();
    EXPECT_EQ(seen.ahead, !facts.is_causal || facts.leak_length > 0)
        << each.spec.ShortDebugString();
    if (facts.is_causal) {
      EXPECT_EQ(seen.leak_length, facts.leak_length)
          << each.spec.ShortDebugString();
    }
    // The first two rows of each layer's routing are the same, or are not.
    std::vector<at::Tensor> routing;
    const at::Tensor tokens = lory::model::RandomTokens(1);
    model->TokenLosses(tokens, tokens, {}, &routing);
    if (routing.empty() || routing[0].size(0) < 2) continue;
    EXPECT_EQ(routing[0][0].equal(routing[0][1]), facts.repeats_first)
        << each.spec.ShortDebugString();
  }
}

TEST(VariantFacts, HaveNames) {
  EXPECT_EQ(DescribeCausality({}), "causal");
  EXPECT_EQ(DescribeCausality({.is_causal = false}), "not causal");
  EXPECT_EQ(DescribeCausality({.leak_length = 64}),
            "the first 64 positions see each other");
  EXPECT_EQ(NameOf(Unit::kSegment), "segment");
}

}  // namespace
}  // namespace lory::eval
