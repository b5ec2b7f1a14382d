#ifndef LORY_TOOLS_CORPUS_ITEM_READER_H_
#define LORY_TOOLS_CORPUS_ITEM_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/input_files.h"
#include "tools/corpus/input_item.h"

namespace lory::corpus {

// The items of a file that has many, in their order. Thread-compatible.
class ItemReader {
 public:
  // `file` must be one of FilesOf(input), whose format is any but text; both
  // must outlive the reader. Errors name the file.
  static absl::StatusOr<std::unique_ptr<ItemReader>> Open(
      const CorpusInput& input, const InputFile& file);
  virtual ~ItemReader() = default;

  // Fills in a fresh `item` for ParseItem; false: there are no more. An item
  // that is bad says so in its status; an error here is the end of the file:
  // DATA_LOSS when it is damaged.
  virtual absl::StatusOr<bool> Next(InputItem* item) = 0;
};

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_ITEM_READER_H_
