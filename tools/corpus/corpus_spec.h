#ifndef LORY_TOOLS_CORPUS_CORPUS_SPEC_H_
#define LORY_TOOLS_CORPUS_CORPUS_SPEC_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/corpus/encoder/model_folder.h"
#include "tools/corpus/neighbor_options.h"
#include "tools/corpus/token_type.h"

// corpus.yaml: what a dataset is built from and how. See
// tools/corpus/example/corpus.yaml for every key.
namespace lory::corpus {

// How documents follow each other in the contexts.
enum class DocumentOrder { kSimilarity, kReleasedCode, kRandom };

// Whom a document is joined to by its neighbours: those it lists and those that
// list it, as in the paper, or those it lists alone.
enum class Graph { kSymmetric, kDirected };

// What a file of an input holds: a document a line, one in all, or those of an
// indexed dataset of Megatron-LM or of MosaicML's streaming library.
enum class InputFormat { kJsonLines, kText, kMegatron, kMds };

// Where a line of JSON keeps what; "/a/b" is the "b" inside "a". Of MDS the
// names of columns.
struct InputKeys {
  std::string text = "text";
  std::string id = "id";
  std::string domain = "domain";
  std::string tokens = "tokens";  // MDS alone; empty: it has text
};

struct CorpusInput {
  std::string path;    // a file, or a folder of them
  std::string domain;  // of every document in it; empty: the lines say
  InputFormat format = InputFormat::kJsonLines;
  InputKeys keys;
  std::optional<TokenType> token_type;  // of columns that do not say it
  std::string token_type_place;  // "corpus.yaml:7: inputs[0].tokens_type"
  // Not of the file: a folder in `path` that is not read, where the build
  // writes.
  std::string left_out;
};

// Whether its documents are tokens already, of the spec's tokenizer.
bool HoldsTokens(const CorpusInput& input);

// Kinds of tokenizers that are trained.
inline constexpr char kByteBpe[] = "byte-bpe";
inline constexpr char kSentencePieceBpe[] = "sentencepiece-bpe";

// A BERT encoder that makes the vectors.
struct EncoderSpec {
  std::string model;               // folder; empty: hashed TF-IDF
  std::optional<Pooling> pooling;  // none: what the folder says
  std::optional<int32_t> max_tokens;
  bool normalize = true;  // rows of unit length
};

struct CorpusSpec {
  std::string name;
  std::string output;  // folder of the dataset
  uint64_t seed = 1;
  std::vector<CorpusInput> inputs;
  int64_t max_errors = 10;  // bad lines in all inputs together

  double held_out_fraction = 0.01;  // of each domain's documents
  std::vector<std::string> holdout_domains;

  std::string tokenizer_file;  // empty: train one
  std::string tokenizer_kind = kByteBpe;
  int64_t vocabulary_size = 8192;    // when trained
  int64_t tokenizer_megabytes = 64;  // of text to train on at most

  int32_t embed_dimensions = 1024;  // of hashed TF-IDF; a model has its own
  EncoderSpec encoder;
  NeighborOptions neighbors;
  Graph graph = Graph::kSymmetric;
  // Of two documents at least this similar, with at least this share of their
  // shingles in common, one is dropped; 1: none is.
  double near_duplicate = 0.95;
  double shingle_overlap = 0.5;
  // Shares of the tokens to train, by domain; empty: as they come.
  std::map<std::string, double> mixture;
  DocumentOrder order = DocumentOrder::kSimilarity;

  int32_t sequence_length = 1024;
  int64_t shard_megabytes = 256;

  // Where a file has each key: "corpus.yaml:7" by "inputs[0].path".
  std::map<std::string, std::string> places;

  bool HasTokenInput() const;
  // How messages name a key: with its place, if a file has it.
  std::string PlaceOf(const std::string& key) const;
  // A mistake that only the documents show (INVALID_ARGUMENT,
  // FAILED_PRECONDITION), with the line of a key that it is about, if a file
  // has that.
  absl::Status At(const std::string& key, const absl::Status& status) const;
  template <typename T>
  absl::StatusOr<T> At(const std::string& key, absl::StatusOr<T> result) const {
    if (result.ok()) return result;
    return At(key, result.status());
  }
};

// Reads `text`; relative paths in it are taken from `folder`.
//
// INVALID_ARGUMENT: anything wrong, all of it at once, a line each, such as
// "corpus.yaml:7: neighbours: unknown key; did you mean neighbors?".
absl::StatusOr<CorpusSpec> ParseCorpusSpec(absl::string_view text,
                                           absl::string_view file_name,
                                           const std::string& folder);

// Also INVALID_ARGUMENT: the file, or one that it names, is not there.
absl::StatusOr<CorpusSpec> ReadCorpusSpec(const std::string& path);

// similarity, released-code or random, and back; none: no such order.
absl::string_view NameOf(DocumentOrder order);
std::optional<DocumentOrder> OrderNamed(absl::string_view name);
std::vector<std::string> OrderNames();

// Domains become parts of file names: 1 to 64 letters, digits, '-', '_' and
// '.', the first one a letter or digit.
bool IsDomainName(absl::string_view name);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_CORPUS_SPEC_H_
