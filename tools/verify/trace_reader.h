#ifndef LORY_TOOLS_VERIFY_TRACE_READER_H_
#define LORY_TOOLS_VERIFY_TRACE_READER_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// Traces: a line for each step a rank applied (docs/protocol.md, Trace and
// proof).
namespace lory::verify {

struct TraceLine {
  std::string file;  // base name: <worker>-<slot>.jsonl
  int64_t line = 0;  // from 1
  int64_t step = 0;  // from 0
  int64_t generation = 0;
  std::vector<uint64_t> sums;  // by rank
  std::vector<int64_t> shares;
  std::string digest;  // 32 raw bytes

  std::string Place() const;  // "a-0.jsonl:12"
  bool SaysTheSameAs(const TraceLine& other) const;
};

struct Trace {
  std::vector<TraceLine> lines;
  // Lines cut off by the end of their writer. Nothing was promised there.
  std::vector<std::string> torn;
  // Whole lines that are no trace lines: nobody should have written them.
  std::vector<std::string> garbage;
};

// Every *.jsonl in `folder`. NOT_FOUND: no such folder.
absl::StatusOr<Trace> ReadTrace(const std::string& folder);

// One line of a trace; nothing when it is none.
std::optional<TraceLine> ParseTraceLine(absl::string_view text);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_TRACE_READER_H_
