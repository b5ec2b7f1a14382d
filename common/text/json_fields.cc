#include "common/text/json_fields.h"

#include "absl/strings/str_cat.h"

namespace lory::text {
namespace {

// Deeper ones are no tokenizer but an attack on our stack.
constexpr int kDeepest = 16;
constexpr size_t kMostShown = 60;  // bytes of JSON in a message

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

// At most a line of it.
std::string Shown(JsonElement value) {
  std::string text = simdjson::minify(value);
  if (text.size() > kMostShown) text = text.substr(0, kMostShown) + "...";
  return text;
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

absl::StatusOr<std::vector<JsonElement>> StepsAt(JsonElement root,
                                                 const char* key,
                                                 const char* list) {
  std::vector<JsonElement> steps;
  JsonElement first;
  if (root[key].get(first) == simdjson::SUCCESS && !first.is_null()) {
    AddSteps(first, list, 0, &steps);
  }
  for (const JsonElement step : steps) {
    if (TextAt(step, "type").empty()) {
      return Unsupported(absl::StrCat(key, ", in which a step is ", Shown(step),
                                      ", no object with a type"));
    }
  }
  return steps;
}

absl::Status Unsupported(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not supported: ", what));
}

}  // namespace lory::text
