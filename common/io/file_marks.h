#ifndef LORY_COMMON_IO_FILE_MARKS_H_
#define LORY_COMMON_IO_FILE_MARKS_H_

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lory::io {

// How files stood when they were opened: whoever maps a file sees what others
// write into it. Immutable.
class FileMarks {
 public:
  // What cannot be looked at is left to whoever opens it.
  static FileMarks Of(const std::vector<std::string>& paths);

  // The first file that was written to since; empty: none was. One that was
  // replaced or removed, or cannot be looked at now, is still mapped as it was.
  // Looks at each: microseconds on a local disk.
  std::string FindWritten() const;

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

}  // namespace lory::io

#endif  // LORY_COMMON_IO_FILE_MARKS_H_
