#include "common/text/json_fields.h"

#include "absl/strings/str_cat.h"

namespace lory::text {
namespace {

// Deeper ones are no tokenizer but an attack on our stack.
constexpr int kDeepest = 16;

void AddSteps(JsonElement step, const char* list, int depth,
              std::vector<JsonElement>* steps) {
  simdjson::dom::array inside;
  if (depth < kDeepest && TextAt(step, "type") == "Sequence" &&
      step[list].get(inside) == simdjson::SUCCESS) {
    for (const JsonElement next : inside) {
      AddSteps(next, list, depth + 1, steps);
    }
  } else {
    steps->push_back(step);
  }
}

}  // namespace

std::string TextAt(JsonElement object, const char* key,
                   absl::string_view otherwise) {
  JsonElement value;
  if (object[key].get(value) != simdjson::SUCCESS || !value.is_string()) {
    return std::string(otherwise);
  }
  const auto view = value.get_string().value_unsafe();
  return std::string(view.data(), view.size());
}

bool BoolAt(JsonElement object, const char* key, bool otherwise) {
  bool value = otherwise;
  return object[key].get(value) == simdjson::SUCCESS ? value : otherwise;
}

int64_t WholeAt(JsonElement object, const char* key, int64_t otherwise) {
  int64_t value = otherwise;
  return object[key].get(value) == simdjson::SUCCESS ? value : otherwise;
}

std::vector<JsonElement> StepsAt(JsonElement root, const char* key,
                                 const char* list) {
  std::vector<JsonElement> steps;
  JsonElement first;
  if (root[key].get(first) == simdjson::SUCCESS && !first.is_null()) {
    AddSteps(first, list, 0, &steps);
  }
  return steps;
}

absl::Status Unsupported(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not supported: ", what));
}

}  // namespace lory::text
