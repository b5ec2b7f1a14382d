#include "common/io/file_marks.h"

#include <sys/stat.h>

namespace lory::io {
namespace {

int64_t WrittenAt(const struct stat& status) {
  return int64_t{status.st_mtim.tv_sec} * 1'000'000'000 +
         status.st_mtim.tv_nsec;
}

}  // namespace

FileMarks FileMarks::Of(const std::vector<std::string>& paths) {
  FileMarks taken;
  for (const std::string& path : paths) {
    struct stat status = {};
    if (::stat(path.c_str(), &status) != 0) continue;
    taken.marks_.push_back({path, status.st_dev, status.st_ino, status.st_size,
                            WrittenAt(status)});
  }
  return taken;
}

std::string FileMarks::FindWritten() const {
  for (const Mark& mark : marks_) {
    struct stat status = {};
    if (::stat(mark.path.c_str(), &status) != 0) continue;
    if (status.st_dev != mark.device || status.st_ino != mark.inode) continue;
    if (status.st_size == mark.size && WrittenAt(status) == mark.written) {
      continue;
    }
    return mark.path;
  }
  return "";
}

}  // namespace lory::io
