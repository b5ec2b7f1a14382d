#include "tools/model/token_ids.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "tools/model/hugging_face_config.h"

namespace lory::surgery {
namespace {

using nlohmann::ordered_json;

constexpr char kEndKey[] = "eos_token_id";
constexpr char kPadKey[] = "pad_token_id";
constexpr size_t kMostShown = 100;

bool IsId(const ordered_json& value, int64_t vocabulary_size) {
  if (!value.is_number_integer()) return false;
  // Of a negative number, too large a one.
  return value.get<uint64_t>() < static_cast<uint64_t>(vocabulary_size);
}

bool AreIds(const ordered_json& value, int64_t vocabulary_size) {
  return value.is_array() && !value.empty() &&
         std::all_of(value.begin(), value.end(), [&](const ordered_json& id) {
           return IsId(id, vocabulary_size);
         });
}

}  // namespace

absl::Status CheckTokenIds(absl::string_view file, int64_t vocabulary_size,
                           ordered_json& object, std::string& words) {
  for (const absl::string_view key : kTokenIdKeys) {
    const auto found = object.find(std::string(key));
    if (found == object.end() || found->is_null()) continue;
    ordered_json& value = *found;
    const bool may_be_several = key == kEndKey;
    if (IsId(value, vocabulary_size) ||
        (may_be_several && AreIds(value, vocabulary_size))) {
      continue;
    }
    const std::string shown =
        value.dump(-1, ' ', false, ordered_json::error_handler_t::replace)
            .substr(0, kMostShown);
    if (key == kPadKey && value.is_number_integer()) {
      absl::StrAppend(&words, file, ": ", key, " is ", shown,
                      ", no id of a vocabulary of ", vocabulary_size,
                      ": taken for none\n");
      value = nullptr;
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        file, ": ", key, " is ", shown, ", not null or an id from 0 to ",
        vocabulary_size - 1, may_be_several ? ", or a list of these" : ""));
  }
  return absl::OkStatus();
}

}  // namespace lory::surgery
