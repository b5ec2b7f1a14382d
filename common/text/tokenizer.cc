#include "common/text/tokenizer.h"

#include <utility>

#include "common/base/status_macros.h"
#include "common/io/storage.h"
#include "common/text/byte_pair_model.h"
#include "common/text/byte_pair_tokenizer.h"

namespace lory::text {

absl::StatusOr<std::unique_ptr<Tokenizer>> LoadTokenizer(
    const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const std::string json, io::LocalStorage().Read(path));
  absl::StatusOr<BytePairModel> model = ParseBytePairModel(json);
  if (!model.ok()) return Annotate(model.status(), path);
  return std::make_unique<BytePairTokenizer>(*std::move(model));
}

}  // namespace lory::text
