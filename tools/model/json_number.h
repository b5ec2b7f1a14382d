#ifndef LORY_TOOLS_MODEL_JSON_NUMBER_H_
#define LORY_TOOLS_MODEL_JSON_NUMBER_H_

#include <cmath>
#include <nlohmann/json.hpp>

namespace lory::surgery {

// `number`, or null: JSON has no infinity.
inline nlohmann::ordered_json JsonNumber(double number) {
  return std::isfinite(number) ? nlohmann::ordered_json(number)
                               : nlohmann::ordered_json();
}

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_JSON_NUMBER_H_
