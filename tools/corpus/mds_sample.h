#ifndef LORY_TOOLS_CORPUS_MDS_SAMPLE_H_
#define LORY_TOOLS_CORPUS_MDS_SAMPLE_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/mds_index.h"
#include "tools/corpus/token_type.h"

namespace lory::corpus {

// What of a sample makes a document, taken out of its bytes and into views of
// them.
struct MdsDocument {
  absl::string_view bytes;        // of tokens or text
  std::optional<TokenType> type;  // of the tokens; none: it is text
  std::string name;               // its id; empty: it has none
  std::string domain;             // may be empty
};

// How to read the samples of one shard. Immutable; thread-safe.
class MdsSampleReader {
 public:
  // Finds the columns that `input` asks for.
  //
  // INVALID_ARGUMENT: there is no column of tokens (of text), or its encoding
  // is not read; names the columns and the key that mends it.
  static absl::StatusOr<MdsSampleReader> Create(
      const std::vector<MdsColumn>& columns, const CorpusInput& input);

  // INVALID_ARGUMENT: sizes in the sample that do not fit, tokens that are no
  // list of whole numbers, a domain that cannot name a file.
  absl::StatusOr<MdsDocument> Read(absl::string_view sample) const;

 private:
  MdsSampleReader() = default;

  absl::Status SetContent(const CorpusInput& input);
  absl::StatusOr<absl::string_view> TokensOf(absl::string_view value,
                                             TokenType* type) const;

  std::vector<MdsColumn> columns_;
  int content_ = -1, id_ = -1, domain_ = -1;  // of columns_; -1: none
  bool is_text_ = false;
  bool is_array_ = false;  // values have a header of NumPy's, or are all
  std::optional<TokenType> type_;  // none: each value says
  bool has_shape_ = false;         // in the encoding, so not in the values
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_MDS_SAMPLE_H_
