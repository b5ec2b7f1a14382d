#ifndef LORY_COMMON_BASE_EDIT_DISTANCE_H_
#define LORY_COMMON_BASE_EDIT_DISTANCE_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace lory {

// Edits (insert, delete, replace, swap of neighbours) from one to the other.
int EditDistance(absl::string_view a, absl::string_view b);

// The one of `words` that `wrong` was probably meant to be, the first of
// equals; empty: none is near enough.
std::string ClosestWord(absl::string_view wrong,
                        const std::vector<std::string>& words);

}  // namespace lory

#endif  // LORY_COMMON_BASE_EDIT_DISTANCE_H_
