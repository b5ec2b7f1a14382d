#include "tools/corpus/line_reader.h"

#include <zlib.h>
#include <zstd.h>

#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"

namespace lory::corpus {
namespace {

constexpr size_t kChunkBytes = 1 << 20;

// zlib reads plain files too: one reader for both.
class GzipLineReader final : public LineReader {
 public:
  GzipLineReader(std::string path, gzFile file)
      : LineReader(std::move(path)), file_(file) {
    gzbuffer(file_, kChunkBytes);
  }
  ~GzipLineReader() override { gzclose(file_); }

 private:
  absl::Status ReadSome(std::string* out) override {
    const size_t before = out->size();
    out->resize(before + kChunkBytes);
    const int count = gzread(file_, out->data() + before, kChunkBytes);
    out->resize(before + (count > 0 ? static_cast<size_t>(count) : 0));
    int code = Z_OK;
    const char* message = gzerror(file_, &code);
    // A truncated file is reported at its end, without a short read.
    if (count < 0 || code == Z_BUF_ERROR) {
      return absl::DataLossError(absl::StrCat(path(), ": ", message));
    }
    return absl::OkStatus();
  }

  const gzFile file_;
};

class ZstdLineReader final : public LineReader {
 public:
  ZstdLineReader(std::string path, std::FILE* file)
      : LineReader(std::move(path)),
        file_(file),
        stream_(ZSTD_createDStream()) {}
  ~ZstdLineReader() override {
    ZSTD_freeDStream(stream_);
    std::fclose(file_);
  }

 private:
  absl::Status ReadSome(std::string* out) override {
    const size_t before = out->size();
    while (out->size() == before) {
      if (input_.pos == input_.size) {
        compressed_.resize(kChunkBytes);
        const size_t count =
            std::fread(compressed_.data(), 1, compressed_.size(), file_);
        if (count == 0) {
          return frame_left_ == 0 ? absl::OkStatus()
                                  : absl::DataLossError(absl::StrCat(
                                        path(), ": the file is cut off"));
        }
        input_ = {compressed_.data(), count, 0};
      }
      out->resize(before + kChunkBytes);
      ZSTD_outBuffer output = {out->data() + before, kChunkBytes, 0};
      frame_left_ = ZSTD_decompressStream(stream_, &output, &input_);
      out->resize(before + output.pos);
      if (ZSTD_isError(frame_left_)) {
        return absl::DataLossError(
            absl::StrCat(path(), ": ", ZSTD_getErrorName(frame_left_)));
      }
    }
    return absl::OkStatus();
  }

  std::FILE* const file_;
  ZSTD_DStream* const stream_;
  std::string compressed_;
  ZSTD_inBuffer input_ = {nullptr, 0, 0};
  size_t frame_left_ = 0;  // 0: between frames
};

}  // namespace

absl::StatusOr<std::unique_ptr<LineReader>> LineReader::Open(
    const std::string& path) {
  const std::string what = absl::StrCat("opening ", path);
  if (absl::EndsWith(path, ".zst")) {
    std::FILE* file = std::fopen(path.c_str(), "rbe");
    if (file == nullptr) return io::ErrnoStatus(errno, what);
    return std::make_unique<ZstdLineReader>(path, file);
  }
  const gzFile file = gzopen(path.c_str(), "rbe");
  if (file == nullptr) return io::ErrnoStatus(errno, what);
  return std::make_unique<GzipLineReader>(path, file);
}

absl::StatusOr<std::optional<absl::string_view>> LineReader::Next() {
  while (true) {
    const size_t end = buffer_.find('\n', scanned_);
    if (end != std::string::npos) {
      const absl::string_view line(buffer_.data() + begin_, end - begin_);
      begin_ = scanned_ = end + 1;
      return line;
    }
    if (at_end_) {
      if (begin_ == buffer_.size()) return std::nullopt;
      const absl::string_view line(buffer_.data() + begin_,
                                   buffer_.size() - begin_);
      begin_ = scanned_ = buffer_.size();
      return line;
    }
    buffer_.erase(0, begin_);
    begin_ = 0;
    scanned_ = buffer_.size();
    if (buffer_.size() > kMaxLineBytes) {
      return absl::ResourceExhaustedError(
          absl::StrCat(path_, ": a line is longer than ", kMaxLineBytes >> 20,
                       " MiB: these are no JSON lines"));
    }
    const size_t before = buffer_.size();
    LORY_RETURN_IF_ERROR(ReadSome(&buffer_));
    at_end_ = buffer_.size() == before;
  }
}

}  // namespace lory::corpus
