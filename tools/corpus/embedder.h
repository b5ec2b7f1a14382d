#ifndef LORY_TOOLS_CORPUS_EMBEDDER_H_
#define LORY_TOOLS_CORPUS_EMBEDDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/corpus_spec.h"

namespace lory::corpus {

// The texts of a corpus by their numbers. `of` may be called on any thread.
struct Texts {
  int64_t count = 0;
  std::function<absl::string_view(int64_t)> of;
};

// Makes documents into vectors, a row each, so that the product of two rows
// says how much the documents have to do with each other. What becomes of a
// document does not depend on which others are asked for with it, nor on the
// number of threads. Thread-compatible; uses all cores itself.
class Embedder {
 public:
  // Gets bytes of text that are done with, on any thread.
  using OnProgress = std::function<void(int64_t)>;

  virtual ~Embedder() = default;

  virtual int32_t dimensions() const = 0;

  // What decides on the rows beside the texts, for the stage's record: options,
  // and the files that are read with their hashes.
  virtual nlohmann::ordered_json options() const = 0;
  virtual std::vector<std::pair<std::string, std::string>> inputs() const {
    return {};
  }

  // Whether Prepare reads all texts, and whether rows take so long that those
  // that are done are to survive a kill.
  virtual bool reads_texts_before() const = 0;
  virtual bool is_slow() const = 0;

  // Once, before the first rows.
  virtual void Prepare(const Texts& texts, const OnProgress& on_progress) = 0;

  // The rows of texts [begin, end) to `rows`, zeros for one without words; the
  // number of texts of which only the begin was looked at. INVALID_ARGUMENT:
  // a row that is no number; names the document.
  virtual absl::StatusOr<int64_t> Embed(const Texts& texts, int64_t begin,
                                        int64_t end, float* rows,
                                        const OnProgress& on_progress) = 0;
};

// Rows of unit length (zero for a text without words): TF-IDF over lower-case
// words, folded to `dimensions` by a signed hash (Weinberger and others, ICML
// 2009), so that the cosine of two documents is the product of their rows up to
// hash noise. A stand-in for a trained encoder such as Contriever: no weights,
// no licence, good enough to put related documents together.
//
// weight = (1 + ln count in document) x ln((1 + documents) / (1 + documents
// with the word)).
std::unique_ptr<Embedder> MakeHashedTfIdf(int32_t dimensions);

// Reads the whole model and checks that it can be run: what is wrong with it
// is said here and not after hours. NOT_FOUND, DATA_LOSS, INVALID_ARGUMENT:
// names the file or key. FAILED_PRECONDITION: as CheckOneThreadAProduct.
absl::StatusOr<std::unique_ptr<Embedder>> OpenBertEmbedder(
    const EncoderSpec& spec);

// The one that `spec` wants.
absl::StatusOr<std::unique_ptr<Embedder>> OpenEmbedder(const CorpusSpec& spec);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_EMBEDDER_H_
