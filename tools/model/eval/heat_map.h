#ifndef LORY_TOOLS_MODEL_EVAL_HEAT_MAP_H_
#define LORY_TOOLS_MODEL_EVAL_HEAT_MAP_H_

#include <string>

#include "tools/model/eval/evaluation.h"

namespace lory::eval {

// The specialisation table as a picture (Lory, figure 6): for each layer the
// mean weight of each expert, a row a text; SVG that needs nothing else. Of an
// evaluation with routing.
std::string SpecialisationSvg(const Evaluation& evaluation);

}  // namespace lory::eval

#endif  // LORY_TOOLS_MODEL_EVAL_HEAT_MAP_H_
