#include "tools/model/eval/variant_facts.h"

#include "absl/strings/str_cat.h"

namespace lory::eval {

using ::lory::config::FeedForwardKind;
using ::lory::config::ModelShape;

VariantFacts FactsOf(const ModelShape& shape) {
  using Lory = ::lory::v1::LoryFeedForward;
  using ExpertChoice = ::lory::v1::ExpertChoiceFeedForward;
  const lory::v1::FeedForwardSpec& spec = shape.feed_forward_spec;
  VariantFacts facts{.is_causal = shape.is_causal,
                     .leak_length = lory::config::LeakLength(shape)};
  switch (shape.feed_forward) {
    case FeedForwardKind::kLory:
      facts.unit = Unit::kSegment;
      facts.repeats_first =
          spec.lory().first_segment() == Lory::SELF_STOP_GRADIENT;
      break;
    case FeedForwardKind::kPrefixRouting:
      facts.unit = Unit::kSequence;
      break;
    case FeedForwardKind::kTokenChoice:
      facts.unit = Unit::kToken;
      break;
    case FeedForwardKind::kExpertChoice:
      facts.unit = Unit::kToken;
      if (spec.expert_choice().level() == ExpertChoice::SEGMENT) {
        facts.unit = Unit::kSegment;
        facts.repeats_first = true;
      }
      break;
    case FeedForwardKind::kSmear:
      facts.unit = Unit::kSequence;
      break;
    case FeedForwardKind::kSoftMoe:
      facts.unit = Unit::kToken;
      break;
    case FeedForwardKind::kWeightEnsembling:
      facts.unit = Unit::kSequence;
      break;
    default:
      break;
  }
  return facts;
}

std::string DescribeCausality(const VariantFacts& facts) {
  if (!facts.is_causal) return "not causal";
  if (facts.leak_length == 0) return "causal";
  return absl::StrCat("the first ", facts.leak_length,
                      " positions see each other");
}

std::string NameOf(Unit unit) {
  switch (unit) {
    case Unit::kToken:
      return "token";
    case Unit::kSegment:
      return "segment";
    case Unit::kSequence:
      return "sequence";
    case Unit::kNone:
      break;
  }
  return "";
}

}  // namespace lory::eval
