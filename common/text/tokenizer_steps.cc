#include "common/text/tokenizer_steps.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"

namespace lory::text {
namespace {

// The pattern under `key`: a text as it stands, or an expression.
absl::StatusOr<SplitPattern> ReadPattern(JsonElement step,
                                         const std::string& of) {
  JsonElement pattern;
  if (step["pattern"].get(pattern) == simdjson::SUCCESS) {
    const std::string expression = TextAt(pattern, "Regex");
    if (!expression.empty()) return SplitPattern::Compile(expression);
    const std::string text = TextAt(pattern, "String");
    if (!text.empty()) return SplitPattern::Literal(text);
  }
  return Unsupported(absl::StrCat(of, " without a pattern"));
}

// ---- normalizer ----

absl::Status AddNormalizer(JsonElement step, Normalizer* normalizer) {
  const std::string type = TextAt(step, "type");
  auto& steps = normalizer->steps;
  if (type == "NFC") {
    steps.emplace_back(NormalForm::kNfc);
  } else if (type == "NFD") {
    steps.emplace_back(NormalForm::kNfd);
  } else if (type == "NFKC") {
    steps.emplace_back(NormalForm::kNfkc);
  } else if (type == "NFKD") {
    steps.emplace_back(NormalForm::kNfkd);
  } else if (type == "Prepend") {
    steps.emplace_back(Normalizer::Prepend{TextAt(step, "prepend")});
  } else if (type == "Replace") {
    LORY_ASSIGN_OR_RETURN(SplitPattern pattern,
                          ReadPattern(step, "the normalizer Replace"));
    steps.emplace_back(
        Normalizer::Replace{std::move(pattern), TextAt(step, "content")});
  } else {
    return Unsupported(absl::StrCat("the normalizer ", type));
  }
  return absl::OkStatus();
}

// ---- pre_tokenizer ----

absl::StatusOr<SplitPattern> SplitPatternOf(JsonElement step,
                                            const std::string& type) {
  if (type == "Digits") return SplitPattern::Compile("\\p{N}");
  if (type == "Punctuation") {
    return SplitPattern::Compile("[!-/:-@\\[-`{-~\\p{P}]");
  }
  return ReadPattern(step, "the pre_tokenizer Split");
}

absl::Status AddSplit(JsonElement step, PreTokenizer* pre) {
  constexpr std::pair<const char*, SplitBehavior> kBehaviors[] = {
      {"Removed", SplitBehavior::kRemoved},
      {"Isolated", SplitBehavior::kIsolated},
      {"MergedWithPrevious", SplitBehavior::kMergedWithPrevious},
      {"MergedWithNext", SplitBehavior::kMergedWithNext},
      {"Contiguous", SplitBehavior::kContiguous}};
  const std::string type = TextAt(step, "type");
  std::string behavior = TextAt(step, "behavior", "Isolated");
  if (type == "Digits") {
    const bool alone = BoolAt(step, "individual_digits", false);
    behavior = alone ? "Isolated" : "Contiguous";
  }
  LORY_ASSIGN_OR_RETURN(SplitPattern pattern, SplitPatternOf(step, type));
  for (const auto& [name, value] : kBehaviors) {
    if (behavior != name) continue;
    pre->steps.emplace_back(PreTokenizer::Split{std::move(pattern), value,
                                                BoolAt(step, "invert", false)});
    return absl::OkStatus();
  }
  return Unsupported(
      absl::StrCat("the behavior ", behavior, " of the pre_tokenizer ", type));
}

absl::Status AddByteLevel(JsonElement step, PreTokenizer* pre) {
  if (BoolAt(step, "add_prefix_space", true)) {
    pre->steps.emplace_back(PreTokenizer::SpaceBefore{});
  }
  if (BoolAt(step, "use_regex", true)) {
    LORY_ASSIGN_OR_RETURN(SplitPattern words,
                          SplitPattern::Compile(kGpt2Words));
    pre->steps.emplace_back(PreTokenizer::Split{std::move(words)});
  }
  return absl::OkStatus();
}

// "always", "first" or "never"; of older files a yes or no.
std::string PrependScheme(JsonElement step) {
  const bool add = BoolAt(step, "add_prefix_space", true);
  return TextAt(step, "prepend_scheme", add ? "always" : "never");
}

absl::Status CheckMark(JsonElement step) {
  const std::string mark = TextAt(step, "replacement");
  if (mark == kSpaceMark) return absl::OkStatus();
  return Unsupported(absl::StrCat("Metaspace with the replacement ", mark));
}

absl::Status AddMetaspace(JsonElement step, PreTokenizer* pre) {
  using Prepend = PreTokenizer::SpaceMarks::Prepend;
  LORY_RETURN_IF_ERROR(CheckMark(step));
  PreTokenizer::SpaceMarks marks{.split = BoolAt(step, "split", true)};
  const std::string scheme = PrependScheme(step);
  if (scheme == "first") {
    marks.prepend = Prepend::kFirst;
  } else if (scheme == "never") {
    marks.prepend = Prepend::kNever;
  } else if (scheme != "always") {
    return Unsupported(absl::StrCat("the prepend_scheme ", scheme));
  }
  pre->steps.emplace_back(marks);
  return absl::OkStatus();
}

// Ours, which common/text has as code.
bool IsOwn(const std::vector<JsonElement>& steps) {
  if (steps.size() != 2 || TextAt(steps[0], "type") != "Split" ||
      TextAt(steps[0], "behavior") != "Isolated" ||
      BoolAt(steps[0], "invert", false) ||
      TextAt(steps[1], "type") != "ByteLevel" ||
      BoolAt(steps[1], "add_prefix_space", true) ||
      BoolAt(steps[1], "use_regex", true)) {
    return false;
  }
  JsonElement pattern;
  return steps[0]["pattern"].get(pattern) == simdjson::SUCCESS &&
         TextAt(pattern, "Regex") == kOwnWords;
}

absl::Status ReadPreTokenizer(JsonElement root, bool* has_byte_level,
                              BytePairParts* parts) {
  LORY_ASSIGN_OR_RETURN(const std::vector<JsonElement> steps,
                        StepsAt(root, "pre_tokenizer", "pretokenizers"));
  *has_byte_level = IsOwn(steps);
  if (*has_byte_level) return absl::OkStatus();
  PreTokenizer& pre = parts->pre_tokenizer.emplace();
  for (const JsonElement step : steps) {
    const std::string type = TextAt(step, "type");
    if (*has_byte_level) {
      return Unsupported(
          absl::StrCat("the pre_tokenizer ", type, " behind ByteLevel"));
    }
    if (type == "ByteLevel") {
      *has_byte_level = true;
      LORY_RETURN_IF_ERROR(AddByteLevel(step, &pre));
    } else if (type == "Split" || type == "Digits" || type == "Punctuation") {
      LORY_RETURN_IF_ERROR(AddSplit(step, &pre));
    } else if (type == "Metaspace") {
      LORY_RETURN_IF_ERROR(AddMetaspace(step, &pre));
    } else {
      return Unsupported(absl::StrCat("the pre_tokenizer ", type));
    }
  }
  return absl::OkStatus();
}

// ---- decoder ----

absl::Status AddDecoder(JsonElement step, BytePairParts* parts) {
  const std::string type = TextAt(step, "type");
  if (type == "ByteLevel" || type == "ByteFallback" || type == "Fuse") {
    return absl::OkStatus();
  }
  if (type == "Metaspace") {
    parts->marks_are_spaces = true;
    parts->drops_first_space = PrependScheme(step) != "never";
    return CheckMark(step);
  }
  JsonElement pattern;
  if (type == "Replace" && step["pattern"].get(pattern) == simdjson::SUCCESS &&
      TextAt(pattern, "String") == kSpaceMark &&
      TextAt(step, "content") == " ") {
    parts->marks_are_spaces = true;
    return absl::OkStatus();
  }
  const int64_t start = WholeAt(step, "start", 0);
  if (type == "Strip" && TextAt(step, "content") == " " && start <= 1 &&
      WholeAt(step, "stop", 0) == 0) {
    parts->drops_first_space = start == 1;
    return absl::OkStatus();
  }
  return Unsupported(absl::StrCat("the decoder ", type, " as it is here"));
}

}  // namespace

absl::Status ReadSteps(JsonElement root, BytePairParts* parts) {
  LORY_ASSIGN_OR_RETURN(const std::vector<JsonElement> normalizer,
                        StepsAt(root, "normalizer", "normalizers"));
  for (const JsonElement step : normalizer) {
    LORY_RETURN_IF_ERROR(AddNormalizer(step, &parts->normalizer));
  }
  bool has_byte_level = false;
  LORY_RETURN_IF_ERROR(ReadPreTokenizer(root, &has_byte_level, parts));
  parts->model.unit = has_byte_level ? BytePairModel::Unit::kByte
                                     : BytePairModel::Unit::kCharacter;
  LORY_ASSIGN_OR_RETURN(const std::vector<JsonElement> decoder,
                        StepsAt(root, "decoder", "decoders"));
  for (const JsonElement step : decoder) {
    LORY_RETURN_IF_ERROR(AddDecoder(step, parts));
  }
  return absl::OkStatus();
}

}  // namespace lory::text
