// A line of JSON Lines, or a file of text, as a document: what was read is text
// that a line can hold again.
#include "common/text/unicode.h"
#include "nlohmann/json.hpp"
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/input_line.h"

namespace lory::corpus {
namespace {

void CheckDocument(const InputLine& line) {
  for (const std::string* text : {&line.text, &line.name, &line.domain}) {
    LORY_CHECK(text::EncodeUtf8(text::DecodeUtf8(*text)) == *text);
  }
  LORY_CHECK(line.domain.empty() || IsDomainName(line.domain));
  const nlohmann::json object = {
      {"text", line.text}, {"id", line.name}, {"domain", line.domain}};
  const auto again = ParseInputLine(object.dump());
  LORY_CHECK(again.ok());
  LORY_CHECK(again->text == line.text && again->name == line.name &&
             again->domain == line.domain);
}

}  // namespace

LORY_FUZZ(bytes) {
  const InputKeys nested = {
      .text = "/a/text", .id = "/a/0", .domain = "/domain", .tokens = ""};
  for (const auto& line : {ParseInputLine(bytes), ParseInputLine(bytes, nested),
                           ParseTextFile(bytes, "a.txt")}) {
    fuzz::CheckError(line.status(), {absl::StatusCode::kInvalidArgument});
    if (line.ok()) CheckDocument(*line);
  }
}

}  // namespace lory::corpus
