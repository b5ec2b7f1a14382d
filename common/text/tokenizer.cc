#include "common/text/tokenizer.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_tokenizer.h"
#include "common/text/sentence_piece_model.h"
#include "common/text/text_marks.h"
#include "common/text/tokenizer_json.h"

namespace lory::text {

namespace {

// What the tokenizer_config.json beside a tokenizer.model says, if there is
// one.
absl::Status ReadConfigBeside(const std::string& path, BytePairParts* parts) {
  const std::string config =
      (std::filesystem::path(path).parent_path() / kTokenizerConfigFile)
          .string();
  std::error_code error;
  if (!std::filesystem::exists(config, error)) return absl::OkStatus();
  LORY_ASSIGN_OR_RETURN(const std::string json,
                        io::LocalStorage().Read(config));
  return Annotate(ApplyTokenizerConfig(json, parts), config);
}

}  // namespace

std::vector<int64_t> EncodeWithMarks(const Tokenizer& tokenizer,
                                     absl::string_view end_of_document,
                                     absl::string_view text) {
  struct Mark {
    std::string text;
    int32_t id;
    size_t next;  // where it stands in the text, from `at` on
  };
  std::vector<Mark> marks;
  const auto look_for = [&](absl::string_view mark, int32_t id) {
    if (mark.empty() || id < 0) return;
    marks.push_back({std::string(mark), id, text.find(mark)});
  };
  look_for(end_of_document, tokenizer.end_of_document_id());
  const std::vector<int32_t> before = tokenizer.marks().before;
  if (!before.empty()) look_for(tokenizer.begin_of_text(), before.front());
  std::vector<int64_t> tokens;
  for (size_t at = 0;;) {
    const auto first = std::min_element(
        marks.begin(), marks.end(),
        [](const Mark& a, const Mark& b) { return a.next < b.next; });
    const size_t end =
        first == marks.end() ? absl::string_view::npos : first->next;
    const std::vector<int32_t> ids =
        tokenizer.Encode(text.substr(at, end - at));
    tokens.insert(tokens.end(), ids.begin(), ids.end());
    if (end == absl::string_view::npos) return tokens;
    tokens.push_back(first->id);
    at = end + first->text.size();
    for (Mark& mark : marks) {
      if (mark.next < at) mark.next = text.find(mark.text, at);
    }
  }
}

std::vector<int64_t> EncodeBetweenMarks(const Tokenizer& tokenizer,
                                        absl::string_view end_of_document,
                                        absl::string_view text) {
  const TextMarks marks = tokenizer.marks();
  std::vector<int64_t> tokens(marks.before.begin(), marks.before.end());
  const std::vector<int64_t> inside =
      EncodeWithMarks(tokenizer, end_of_document, text);
  tokens.insert(tokens.end(), inside.begin(), inside.end());
  tokens.insert(tokens.end(), marks.after.begin(), marks.after.end());
  return tokens;
}

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string bytes, io::LocalStorage().Read(path));
  const bool is_json = IsTokenizerJson(bytes);
  absl::StatusOr<BytePairParts> parts =
      is_json ? ParseTokenizerJson(bytes) : ParseSentencePieceModel(bytes);
  if (!parts.ok()) return Annotate(parts.status(), path);
  if (!is_json) LORY_RETURN_IF_ERROR(ReadConfigBeside(path, &*parts));
  return std::make_unique<BytePairTokenizer>(*std::move(parts));
}

}  // namespace lory::text
