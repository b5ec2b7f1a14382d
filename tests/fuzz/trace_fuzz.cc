// A trace as trainers leave it, torn where they were killed: no line is counted
// twice, and none that was read has a number that it does not hold.
#include "tools/verify/trace_reader.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "tests/fuzz/fuzz.h"

namespace lory::verify {

LORY_FUZZ(bytes) {
  const auto one = ParseTraceLine(bytes);
  LORY_CHECK(!one || one->digest.size() == 32);
  fuzz::Folder().Write("a-0.jsonl", bytes);
  const auto trace = ReadTrace(fuzz::Folder().path());
  LORY_CHECK(trace.ok());
  const auto ends = std::count(bytes.begin(), bytes.end(), '\n');
  LORY_CHECK(static_cast<int64_t>(trace->lines.size()) <= ends);
  LORY_CHECK(static_cast<int64_t>(trace->garbage.size()) <= ends);
  int64_t before = 0;
  for (const TraceLine& line : trace->lines) {
    LORY_CHECK(line.line > before && line.line <= ends);
    LORY_CHECK(line.step >= 0 && line.generation >= 0);
    LORY_CHECK(line.SaysTheSameAs(line));
    before = line.line;
  }
}

}  // namespace lory::verify
