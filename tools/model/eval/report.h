#ifndef LORY_TOOLS_MODEL_EVAL_REPORT_H_
#define LORY_TOOLS_MODEL_EVAL_REPORT_H_

#include <string>

#include "tools/model/eval/evaluation.h"

namespace lory::eval {

// For people: tables as wide as they must be. Of a model with many layers the
// routing of the first, the middle and the last.
std::string ToText(const Evaluation& evaluation);

// The kind that evaluation.json names itself.
inline constexpr char kEvaluationKind[] = "lory.evaluation";

// All figures, for programs; items and their likelihoods are not in it.
// docs/lory-model.md describes it.
std::string ToJson(const Evaluation& evaluation);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_REPORT_H_
