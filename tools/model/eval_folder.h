#ifndef LORY_TOOLS_MODEL_EVAL_FOLDER_H_
#define LORY_TOOLS_MODEL_EVAL_FOLDER_H_

#include <string>

#include "absl/status/status.h"
#include "tools/model/eval/evaluation.h"

namespace lory::surgery {

// Whether WriteEvaluationFolder could write there. ALREADY_EXISTS: `folder` is
// there and not empty; `force` replaces an earlier evaluation, and nothing
// else.
absl::Status CheckEvaluationFolder(const std::string& folder, bool force);

// Writes evaluation.json and, of what there is, domains.csv, routing.csv,
// specialisation.csv and .svg, tokens.csv, tasks.csv and items.jsonl. The
// folder appears whole or not at all. As CheckEvaluationFolder; or
// RESOURCE_EXHAUSTED: the disk is full.
absl::Status WriteEvaluationFolder(const lory::eval::Evaluation& evaluation,
                                   const std::string& folder, bool force);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_EVAL_FOLDER_H_
