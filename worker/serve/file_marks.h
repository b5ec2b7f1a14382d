#ifndef LORY_WORKER_SERVE_FILE_MARKS_H_
#define LORY_WORKER_SERVE_FILE_MARKS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace lory::serve {

// How files stood when they were opened: whoever maps a file sees what others
// write into it. Immutable.
class FileMarks {
 public:
  // What cannot be looked at is left to whoever opens it.
  static FileMarks Of(const std::vector<std::string>& paths);

  // DATA_LOSS: a file was written to since; names it. One that was replaced or
  // removed is still mapped as it was. Looks at each: microseconds.
  absl::Status Check() const;

 private:
  struct Mark {
    std::string path;
    dev_t device = 0;
    ino_t inode = 0;
    int64_t size = 0;
    int64_t written = 0;  // nanoseconds of the epoch
  };

  std::vector<Mark> marks_;
};

}  // namespace lory::serve

#endif  // LORY_WORKER_SERVE_FILE_MARKS_H_
