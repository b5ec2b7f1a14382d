#include "tools/corpus/byte_reader.h"

#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include <cerrno>
#include <cstdio>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/io/errno_status.h"

namespace lory::corpus {
namespace {

constexpr size_t kChunkBytes = 1 << 20;
constexpr int kZstdWindowMib = 128;  // at most, unless libzstd is told
// zlib: gzip members only, the largest window.
constexpr int kGzipWindow = 15 + 16;

struct CloseFile {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

// Appends up to a chunk of what is on disk; INTERNAL: the disk says no.
absl::Status ReadChunk(std::FILE* file, const std::string& path,
                       std::string* out) {
  const size_t before = out->size();
  out->resize(before + kChunkBytes);
  errno = 0;
  const size_t count = std::fread(out->data() + before, 1, kChunkBytes, file);
  out->resize(before + count);
  if (count == 0 && std::ferror(file) != 0) {
    return io::ErrnoStatus(errno, absl::StrCat("reading ", path));
  }
  return absl::OkStatus();
}

class PlainReader final : public ByteReader {
 public:
  PlainReader(std::string path, File file)
      : ByteReader(std::move(path)), file_(std::move(file)) {}

  absl::Status ReadSome(std::string* out) override {
    return ReadChunk(file_.get(), path(), out);
  }

 private:
  const File file_;
};

// What both compressed formats share: members (frames) one after the other,
// the last of which must be whole.
class CompressedReader : public ByteReader {
 public:
  CompressedReader(std::string path, File file)
      : ByteReader(std::move(path)), file_(std::move(file)) {}

  absl::Status ReadSome(std::string* out) override {
    const size_t before = out->size();
    while (out->size() == before) {
      if (input_.empty() && !held_back_) {
        compressed_.clear();
        LORY_RETURN_IF_ERROR(ReadChunk(file_.get(), path(), &compressed_));
        input_ = compressed_;
        if (input_.empty()) return CheckEnd();
      }
      out->resize(before + kChunkBytes);
      size_t count = kChunkBytes;
      const absl::Status status =
          Decompress(&input_, out->data() + before, &count);
      out->resize(before + count);
      LORY_RETURN_IF_ERROR(status);
      any_ = true;
      held_back_ = count == kChunkBytes && !AtMemberEnd();
    }
    return absl::OkStatus();
  }

 protected:
  // Takes bytes off `input`, writes at most `*count` to `out` and says in
  // `*count` how many.
  virtual absl::Status Decompress(absl::string_view* input, char* out,
                                  size_t* count) = 0;
  // Whether the last member has ended.
  virtual bool AtMemberEnd() const = 0;

  absl::Status Damaged(absl::string_view what) const {
    return absl::DataLossError(absl::StrCat(path(), ": ", what));
  }

 private:
  absl::Status CheckEnd() const {
    if (!any_) return Damaged("the file has no bytes at all: it is cut off");
    return AtMemberEnd() ? absl::OkStatus() : Damaged("the file is cut off");
  }

  const File file_;
  std::string compressed_;
  absl::string_view input_;  // of `compressed_`, not yet used
  bool any_ = false;
  bool held_back_ = false;  // there was more than `out` had room for
};

class GzipReader final : public CompressedReader {
 public:
  GzipReader(std::string path, File file)
      : CompressedReader(std::move(path), std::move(file)) {
    ready_ = inflateInit2(&stream_, kGzipWindow) == Z_OK;
  }
  ~GzipReader() override { inflateEnd(&stream_); }

 private:
  absl::Status Decompress(absl::string_view* input, char* out,
                          size_t* count) override {
    if (!ready_) return absl::InternalError("zlib has no memory");
    if (at_end_) {
      inflateReset(&stream_);
      at_end_ = false;
    }
    stream_.next_in =
        reinterpret_cast<Bytef*>(const_cast<char*>(input->data()));
    stream_.avail_in = static_cast<uInt>(input->size());
    stream_.next_out = reinterpret_cast<Bytef*>(out);
    stream_.avail_out = static_cast<uInt>(*count);
    const int code = inflate(&stream_, Z_NO_FLUSH);
    *count -= stream_.avail_out;
    input->remove_prefix(input->size() - stream_.avail_in);
    if (code == Z_STREAM_END) at_end_ = true;
    if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR) {
      return absl::OkStatus();
    }
    return Damaged(stream_.msg != nullptr ? stream_.msg : "no gzip data");
  }
  bool AtMemberEnd() const override { return at_end_; }

  z_stream stream_ = {};
  bool ready_ = false;
  bool at_end_ = false;
};

class ZstdReader final : public CompressedReader {
 public:
  ZstdReader(std::string path, File file)
      : CompressedReader(std::move(path), std::move(file)),
        stream_(ZSTD_createDStream()) {}
  ~ZstdReader() override { ZSTD_freeDStream(stream_); }

 private:
  absl::Status Decompress(absl::string_view* input, char* out,
                          size_t* count) override {
    ZSTD_inBuffer in = {input->data(), input->size(), 0};
    ZSTD_outBuffer to = {out, *count, 0};
    frame_left_ = ZSTD_decompressStream(stream_, &to, &in);
    *count = to.pos;
    input->remove_prefix(in.pos);
    if (!ZSTD_isError(frame_left_)) return absl::OkStatus();
    if (ZSTD_getErrorCode(frame_left_) ==
        ZSTD_error_frameParameter_windowTooLarge) {
      return absl::FailedPreconditionError(absl::StrCat(
          path(), ": was compressed with a window of more than ",
          kZstdWindowMib,
          " MiB (zstd --long=28 or more), which would take as "
          "much memory to read: compress it anew, zstd -dc --long=31 | zstd "
          "--long=27"));
    }
    return Damaged(ZSTD_getErrorName(frame_left_));
  }
  bool AtMemberEnd() const override { return frame_left_ == 0; }

  ZSTD_DStream* const stream_;
  size_t frame_left_ = 0;  // 0: between frames
};

bool IsZstandardName(absl::string_view path) {
  return absl::EndsWith(path, ".zst") || absl::EndsWith(path, ".zstd");
}

}  // namespace

bool IsCompressedName(absl::string_view path) {
  return absl::EndsWith(path, ".gz") || IsZstandardName(path);
}

absl::StatusOr<std::unique_ptr<ByteReader>> ByteReader::Open(
    const std::string& path) {
  File file(std::fopen(path.c_str(), "rbe"));
  if (file == nullptr) {
    return io::ErrnoStatus(errno, absl::StrCat("opening ", path));
  }
  if (IsZstandardName(path)) {
    return std::make_unique<ZstdReader>(path, std::move(file));
  }
  if (absl::EndsWith(path, ".gz")) {
    return std::make_unique<GzipReader>(path, std::move(file));
  }
  return std::make_unique<PlainReader>(path, std::move(file));
}

absl::StatusOr<std::string> ReadWhole(const std::string& path,
                                      size_t max_bytes) {
  LORY_ASSIGN_OR_RETURN(const std::unique_ptr<ByteReader> reader,
                        ByteReader::Open(path));
  std::string bytes;
  while (true) {
    const size_t before = bytes.size();
    LORY_RETURN_IF_ERROR(reader->ReadSome(&bytes));
    if (bytes.size() > max_bytes) {
      return absl::OutOfRangeError(
          absl::StrCat("longer than ", max_bytes >> 20, " MiB"));
    }
    if (bytes.size() == before) return bytes;
  }
}

}  // namespace lory::corpus
