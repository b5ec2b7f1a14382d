#include "common/http/token_file.h"

#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/hash.h"

namespace lory::http {
namespace {

constexpr size_t kShortest = 16;

}  // namespace

absl::StatusOr<std::string> ReadTokenFile(const std::string& path) {
  struct stat info = {};
  std::ifstream file(path);
  if (!file || ::stat(path.c_str(), &info) != 0) {
    return absl::NotFoundError(
        absl::StrCat("the token file ", path, " cannot be opened"));
  }
  if ((info.st_mode & 077) != 0) {
    return absl::PermissionDeniedError(absl::StrCat(
        path, " can be read by others than its owner: chmod 600 ", path));
  }
  const std::string text{std::istreambuf_iterator<char>(file), {}};
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
