#ifndef LORY_COMMON_TEXT_JSON_FIELDS_H_
#define LORY_COMMON_TEXT_JSON_FIELDS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "simdjson.h"

// Fields of a tokenizer.json that has been parsed. What is null, of another
// kind or not there is as the value named `otherwise`. All thread-safe.
namespace lory::text {

using JsonElement = simdjson::dom::element;

std::string TextAt(JsonElement object, const char* key,
                   absl::string_view otherwise = "");
bool BoolAt(JsonElement object, const char* key, bool otherwise);
int64_t WholeAt(JsonElement object, const char* key, int64_t otherwise);

// What `key` of `root` asks for, one after the other: the steps inside a step
// of type Sequence, which are under `list`, take its place. INVALID_ARGUMENT
// names the field: one of them is no object with a type.
absl::StatusOr<std::vector<JsonElement>> StepsAt(JsonElement root,
                                                 const char* key,
                                                 const char* list);

// INVALID_ARGUMENT
absl::Status Unsupported(absl::string_view what);

}  // namespace lory::text

#endif  // LORY_COMMON_TEXT_JSON_FIELDS_H_
