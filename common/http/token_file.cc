#include "common/http/token_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/hash.h"

namespace lory::http {
namespace {

constexpr size_t kShortest = 16;
constexpr size_t kLongest = 4096;

}  // namespace

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  const absl::Cleanup close = [&] {
    if (fd >= 0) ::close(fd);
  };
  struct stat info = {};
  std::string text(kLongest, '\0');
  const ssize_t size =
      fd < 0 || ::fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)
          ? -1
          : ::read(fd, text.data(), text.size());
  if (size < 0) {
    return absl::NotFoundError(
        absl::StrCat("the token file ", path, " cannot be opened and read"));
  }
  text.resize(static_cast<size_t>(size));
  if ((info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        path, " can be read by others than its owner: chmod 600 ", path));
  }
  std::string token(absl::StripAsciiWhitespace(text));
  const bool printable =
      std::all_of(token.begin(), token.end(),
                  [](unsigned char c) { return absl::ascii_isgraph(c); });
  if (token.size() < kShortest || !printable) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, " must hold one word of at least ", kShortest,
                     " printable characters: openssl rand -hex 32 > ", path));
  }
  return token;
}

bool ShowsToken(absl::string_view header, absl::string_view token) {
  std::string shown;
  if (absl::ConsumePrefix(&header, "Bearer ")) {
    shown = std::string(header);
  } else if (absl::ConsumePrefix(&header, "Basic ")) {
    std::string decoded;
    if (!absl::Base64Unescape(header, &decoded)) return false;
    const size_t colon = decoded.find(':');
    if (colon == std::string::npos) return false;
    shown = decoded.substr(colon + 1);
  }
  // Of hashes, so that the time it takes tells nothing of the token.
  return Sha256Hex(shown) == Sha256Hex(token);
}

}  // namespace lory::http
