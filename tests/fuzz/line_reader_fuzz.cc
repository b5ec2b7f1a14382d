// Lines of a file, plain or packed: the first byte says which, the rest is the
// file. The lines of a plain file are its bytes.
#include "absl/strings/strip.h"
#include "tests/fuzz/fuzz.h"
#include "tools/corpus/line_reader.h"

namespace lory::corpus {
namespace {

// Each line with an end. What was read before an error counts, too.
std::string LinesOf(const std::string& path, absl::Status* status) {
  const auto reader = LineReader::Open(path);
  LORY_CHECK(reader.ok());
  std::string lines;
  for (int64_t number = 1;; ++number) {
    const auto line = (*reader)->Next();
    *status = line.status();
    if (!line.ok() || !*line) return lines;
    LORY_CHECK((*reader)->line_number() == number);
    LORY_CHECK((*line)->find('\n') == absl::string_view::npos);
    lines.append((*line)->data(), (*line)->size());
    lines += '\n';
  }
}

}  // namespace

LORY_FUZZ(input) {
  if (input.empty()) return;
  const char* const names[] = {"a.jsonl", "a.jsonl.gz", "a.jsonl.zst"};
  const size_t kind = static_cast<uint8_t>(input[0]) % 3;
  absl::string_view bytes = input.substr(1);
  absl::Status status;
  const std::string lines =
      LinesOf(fuzz::Folder().Write(names[kind], bytes), &status);
  fuzz::CheckError(status, {absl::StatusCode::kDataLoss});
  if (kind != 0) return;
  LORY_CHECK(status.ok());
  absl::ConsumePrefix(&bytes, kByteOrderMark);
  std::string expected(bytes);
  if (!expected.empty() && expected.back() != '\n') expected += '\n';
  // A file that is a mark and nothing else has one empty line.
  if (expected.empty() && input.size() > 1) expected = "\n";
  LORY_CHECK(lines == expected);
}

}  // namespace lory::corpus
