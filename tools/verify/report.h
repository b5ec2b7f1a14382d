#ifndef LORY_TOOLS_VERIFY_REPORT_H_
#define LORY_TOOLS_VERIFY_REPORT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace lory::verify {

// One invariant and what speaks against it.
class Verdict {
 public:
  explicit Verdict(std::string invariant) : invariant_(std::move(invariant)) {}

  // `detail` names step, rank, file or record.
  void Fail(std::string detail) { failures_.push_back(std::move(detail)); }
  // Something worth saying that breaks nothing.
  void Note(std::string note) { notes_.push_back(std::move(note)); }

  bool ok() const { return failures_.empty(); }
  const std::string& invariant() const { return invariant_; }
  const std::vector<std::string>& failures() const { return failures_; }
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  std::string invariant_;
  std::vector<std::string> failures_;
  std::vector<std::string> notes_;
};

struct Report {
  std::string subject;
  std::vector<Verdict> verdicts;

  // Of a run; absent (-1) in reports about a checkpoint or dataset alone.
  int64_t samples_lost = -1;
  int64_t samples_repeated = -1;
  int64_t steps = 0;
  int64_t generations = 0;
  int64_t recoveries = 0;

  bool ok() const;
};

// One line an invariant, details indented, the counts last.
std::string ToText(const Report& report);
std::string ToJson(const Report& report);

}  // namespace lory::verify

#endif  // LORY_TOOLS_VERIFY_REPORT_H_
