#ifndef LORY_COMMON_HTTP_TOKEN_FILE_H_
#define LORY_COMMON_HTTP_TOKEN_FILE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace lory::http {

// The secret in a file, without white space around it. Blocks for the disk.
//
// INVALID_ARGUMENT: it is shorter than 16 characters, or has other than
// printable ones. PERMISSION_DENIED: others than the file's owner may read it.
// NOT_FOUND: there is no such file. Each names the file, none the secret.
absl::StatusOr<std::string> ReadTokenFile(const std::string& path);

// Whether an Authorization header shows `token`: as Bearer, which programs
// send, or as the password of Basic, which browsers do, whatever the name.
bool ShowsToken(absl::string_view header, absl::string_view token);

}  // namespace lory::http

#endif  // LORY_COMMON_HTTP_TOKEN_FILE_H_
