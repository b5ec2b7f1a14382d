#include "common/text/same_tokenizer.h"

#include "absl/strings/str_cat.h"

namespace lory::text {
namespace {

// Enough of a hash to tell two files apart by eye.
constexpr size_t kDigits = 12;

absl::string_view Short(absl::string_view sha256) {
  return sha256.substr(0, kDigits);
}

}  // namespace

absl::Status CheckSameTokenizer(const TokenizerIdentity& used,
                                const TokenizerIdentity& expected,
                                absl::string_view remedy) {
  if (used.sha256.empty() || expected.sha256.empty() ||
      used.sha256 == expected.sha256) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      used.of, " has the tokenizer with SHA-256 ", Short(used.sha256), "..., ",
      expected.of, " has ", Short(expected.sha256),
      "...: the same token ids may mean other text; ", remedy));
}

}  // namespace lory::text
