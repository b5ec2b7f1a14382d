#ifndef LORY_TOOLS_MODEL_EVAL_TABLES_H_
#define LORY_TOOLS_MODEL_EVAL_TABLES_H_

#include <string>

#include "tools/model/eval/evaluation.h"

// An evaluation as tables for other programs: comma-separated values as in RFC
// 4180, one line of names first.
namespace lory::eval {

// Loss, perplexity and bits per byte of each text and total, with and without
// the first segment's positions.
std::string DomainsCsv(const Evaluation& evaluation);

// Mean weight of each expert by text and layer (Lory, figure 6).
std::string SpecialisationCsv(const Evaluation& evaluation);

// Entropy, utilisation, load and stability by text and layer; the text "*" is
// all together.
std::string RoutingCsv(const Evaluation& evaluation);

// The tokens that mark each expert.
std::string TokensCsv(const Evaluation& evaluation);

// Accuracy by task and inference.
std::string TasksCsv(const Evaluation& evaluation);

// The log-likelihoods of every item, one JSON object a line.
std::string ItemsJsonLines(const Evaluation& evaluation);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_TABLES_H_
