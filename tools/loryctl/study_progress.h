#ifndef LORY_TOOLS_LORYCTL_STUDY_PROGRESS_H_
#define LORY_TOOLS_LORYCTL_STUDY_PROGRESS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "tools/loryctl/environment.h"
#include "tools/loryctl/study_jobs.h"

namespace lory::ctl {

// Says on stderr where a study stands: one line that is redrawn on a terminal,
// elsewhere a line whenever a job changed its state.
class StudyProgress {
 public:
  explicit StudyProgress(Environment& environment)
      : environment_(environment) {}

  void Show(const std::vector<StudyJob>& jobs);

  // A word on the side, without leaving half a line behind.
  void Say(absl::string_view text);

 private:
  std::string Line(const std::vector<StudyJob>& jobs);

  Environment& environment_;
  absl::Time start_ = absl::InfinitePast();
  double tokens_at_start_ = 0;
  std::string last_states_;
};

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_STUDY_PROGRESS_H_
