#include "common/text/split_pattern.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"

namespace lory::text {
namespace {

// An expression that explodes stops there. One for words takes steps for the
// bytes of a run that it goes through and back: LLaMA 3's two a byte of a text
// that is all spaces.
constexpr uint32_t kMostSteps = 10'000'000;  // from one place of a text
constexpr uint64_t kMostStepsPerByte = 8;    // of the text, where that is more
constexpr uint32_t kMostKibibytes = 512 << 10;  // where it is interpreted

struct FreeCode {
  void operator()(pcre2_code* code) const { pcre2_code_free(code); }
};
struct FreeCompileContext {
  void operator()(pcre2_compile_context* context) const {
    pcre2_compile_context_free(context);
  }
};
struct FreeMatchContext {
  void operator()(pcre2_match_context* context) const {
    pcre2_match_context_free(context);
  }
};
struct FreeMatchData {
  void operator()(pcre2_match_data* data) const { pcre2_match_data_free(data); }
};

using Limits = std::unique_ptr<pcre2_match_context, FreeMatchContext>;

// What a text of `bytes` may take.
Limits LimitsOf(size_t bytes) {
  Limits limits(pcre2_match_context_create(nullptr));
  LORY_CHECK(limits != nullptr);
  const uint64_t steps =
      std::clamp<uint64_t>(bytes * kMostStepsPerByte, kMostSteps,
                           std::numeric_limits<uint32_t>::max());
  pcre2_set_match_limit(limits.get(), static_cast<uint32_t>(steps));
  pcre2_set_heap_limit(limits.get(), kMostKibibytes);
  return limits;
}

PCRE2_SPTR Bytes(absl::string_view text) {
  return reinterpret_cast<PCRE2_SPTR>(text.data());
}

std::string ErrorText(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

}  // namespace

struct SplitPattern::Compiled {
  std::unique_ptr<pcre2_code, FreeCode> code;
  const Limits limits = LimitsOf(0);  // of most texts
  // Texts whose rest was left in one piece.
  mutable std::atomic<int64_t> given_up{0};
};

SplitPattern::SplitPattern(std::shared_ptr<const Compiled> compiled)
    : compiled_(std::move(compiled)) {}

absl::StatusOr<SplitPattern> SplitPattern::Compile(
    absl::string_view expression) {
  LORY_ASSIGN_OR_RETURN(const std::string pattern, InPcre2Dialect(expression));
  const std::unique_ptr<pcre2_compile_context, FreeCompileContext> context(
      pcre2_compile_context_create(nullptr));
  pcre2_set_newline(context.get(), PCRE2_NEWLINE_LF);
  int error = 0;
  PCRE2_SIZE place = 0;
  auto compiled = std::make_shared<Compiled>();
  compiled->code.reset(pcre2_compile(
      Bytes(pattern), pattern.size(),
      PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE | PCRE2_NEVER_BACKSLASH_C, &error,
      &place, context.get()));
  if (compiled->code == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the expression ", expression, ": ", ErrorText(error)));
  }
  uint32_t may_be_empty = 0;
  pcre2_pattern_info(compiled->code.get(), PCRE2_INFO_MATCHEMPTY,
                     &may_be_empty);
  if (may_be_empty != 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "not supported: the expression ", expression, " matches nothing, too"));
  }
  // Where there is no compiler for this machine it is interpreted.
  pcre2_jit_compile(compiled->code.get(), PCRE2_JIT_COMPLETE);
  return SplitPattern(std::move(compiled));
}

absl::StatusOr<SplitPattern> SplitPattern::Literal(absl::string_view text) {
  std::string expression;
  for (const char c : text) {
    if (absl::ascii_ispunct(c)) expression += '\\';
    expression += c;
  }
  return Compile(expression);
}

void SplitPattern::ForEachMatch(
    absl::string_view text,
    absl::FunctionRef<void(size_t begin, size_t end)> found) const {
  const std::unique_ptr<pcre2_match_data, FreeMatchData> data(
      pcre2_match_data_create(1, nullptr));
  LORY_CHECK(data != nullptr);
  Limits own;
  if (text.size() > kMostSteps / kMostStepsPerByte) own = LimitsOf(text.size());
  pcre2_match_context* const limits =
      own != nullptr ? own.get() : compiled_->limits.get();
  const auto match = [&](size_t at, uint32_t options) {
    return pcre2_match(compiled_->code.get(), Bytes(text), text.size(), at,
                       PCRE2_NO_UTF_CHECK | options, data.get(), limits);
  };
  for (size_t at = 0; at < text.size();) {
    int result = match(at, 0);
    if (result == PCRE2_ERROR_JIT_STACKLIMIT) result = match(at, PCRE2_NO_JIT);
    if (result < 0) {
      if (result != PCRE2_ERROR_NOMATCH) ++compiled_->given_up;
      return;
    }
    const PCRE2_SIZE* ends = pcre2_get_ovector_pointer(data.get());
    LORY_CHECK(ends[1] > at && ends[0] >= at);
    found(ends[0], ends[1]);
    at = ends[1];
  }
}

int64_t SplitPattern::given_up() const { return compiled_->given_up; }

std::string PatternUnicodeVersion() {
  char version[32] = {};
  pcre2_config(PCRE2_CONFIG_UNICODE_VERSION, version);
  return version;
}

}  // namespace lory::text
