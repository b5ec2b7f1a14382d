#include "tools/corpus/ingest.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/document_store.h"
#include "tools/corpus/input_files.h"
#include "tools/corpus/input_item.h"
#include "tools/corpus/item_reader.h"
#include "tools/corpus/line_reader.h"
#include "tools/corpus/parallel.h"
#include "tools/corpus/token_store.h"

namespace lory::corpus {
namespace {

constexpr char kNoDomain[] = "text";
// Bad lines are shown up to here and only counted after.
constexpr int64_t kShownErrors = 20;
// Duplicates are shown and written down as examples, and counted in any case.
constexpr int64_t kShownDuplicates = 3;
constexpr int64_t kWrittenDuplicates = 10'000;
// Likewise what is not read.
constexpr int64_t kShownSkipped = 3;
constexpr int64_t kWrittenSkipped = 10'000;
// Of input that is in memory at a time, but for a single longer line: whichever
// is reached first. Items may have no bytes at all.
constexpr int64_t kBatchBytes = 8 << 20;
constexpr size_t kBatchItems = 1 << 14;
constexpr int64_t kIngestGrain = 32;  // lines, or files of text
// Of a file of tokens, to see whether its tokenizer made them, and which share
// of them should look so.
constexpr int64_t kComparedDocuments = 64;
constexpr double kLeastAlike = 0.5;
// How much text rarely takes more of than when it is compressed.
constexpr int64_t kCompressedTimes = 16;

// A line of JSON. Names of files need not be UTF-8; the default would throw.
std::string LineOf(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false,
                   nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

// What a file may take once it is read; a guess if it is compressed.
absl::StatusOr<int64_t> BytesInMemory(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const int64_t bytes, io::LocalStorage().Size(path));
  return IsCompressedName(path) ? kCompressedTimes * bytes : bytes;
}

// What people should look at when many samples of this input are wrong.
std::string TypeToCheck(const CorpusInput& input) {
  if (!input.token_type) return "";
  return absl::StrCat("; ", input.token_type_place, " says ",
                      NameOf(*input.token_type),
                      ", which may not be the type of these tokens");
}

// The state of one ingestion.
class Ingestion {
 public:
  Ingestion(std::string folder, std::unique_ptr<DocumentStoreWriter> writer,
            std::unique_ptr<TokenStoreWriter> tokens, int64_t max_errors,
            const text::Tokenizer* tokenizer, Progress& progress)
      : folder_(std::move(folder)),
        writer_(std::move(writer)),
        tokens_(std::move(tokens)),
        max_errors_(max_errors),
        tokenizer_(tokenizer),
        progress_(progress) {}

  absl::Status ReadInput(const CorpusInput& input) {
    LORY_ASSIGN_OR_RETURN(const InputFiles found, FilesOf(input));
    CountSkipped(found);
    if (input.format == InputFormat::kText) return ReadTexts(input, found);
    for (const InputFile& file : found.files) {
      LORY_RETURN_IF_ERROR(ReadItems(input, file));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<StageResult> Finish() {
    if (writer_->document_count() == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the corpus is empty: the inputs have no document (",
                       empty_, " empty ones, ", bad_, " bad lines, ", skipped_,
                       " files or folders skipped)", last_bad_));
    }
    LORY_RETURN_IF_ERROR(writer_->Finish());
    StageResult result;
    result.files = DocumentStoreWriter::Files();
    if (tokens_ != nullptr) {
      LORY_RETURN_IF_ERROR(tokens_->Finish());
      for (const char* file : {kTokensFile, kTokenEndsFile}) {
        result.files.push_back(file);
      }
      result.figures["token_documents"] = static_cast<double>(token_documents_);
    }
    LORY_RETURN_IF_ERROR(io::LocalStorage().Write(
        absl::StrCat(folder_, "/", kDuplicatesFile), duplicate_lines_));
    result.files.push_back(kDuplicatesFile);
    // No file of the stage: what is not read redoes nothing.
    LORY_RETURN_IF_ERROR(io::LocalStorage().Write(
        absl::StrCat(folder_, "/", kSkippedFile), skipped_lines_));
    for (const auto& [name, count] :
         {std::pair{"documents", writer_->document_count()},
          {"domains", writer_->domain_count()},
          {"text_bytes", text_bytes_},
          {"bad_lines", bad_},
          {"duplicates", duplicates_},
          {"empty", empty_},
          {"skipped_files", skipped_}}) {
      result.figures[name] = static_cast<double>(count);
    }
    result.summary = absl::StrFormat(
        "%d documents, %.1f MB, %d domains; %d duplicates, %d empty, %d bad "
        "lines%s",
        writer_->document_count(), static_cast<double>(text_bytes_) / 1e6,
        writer_->domain_count(), duplicates_, empty_, bad_,
        skipped_ == 0
            ? ""
            : absl::StrCat(", ", skipped_, " files or folders skipped"));
    return result;
  }

 private:
  absl::Status ReadItems(const CorpusInput& input, const InputFile& file) {
    LORY_ASSIGN_OR_RETURN(const std::unique_ptr<ItemReader> reader,
                          ItemReader::Open(input, file));
    std::vector<InputItem> batch;
    int64_t batch_bytes = 0;
    for (bool more = true; more;) {
      InputItem item;
      LORY_ASSIGN_OR_RETURN(more, reader->Next(&item));
      batch_bytes += item.read_bytes;
      if (more) {
        // Until so many could tell, however many are empty or too short to.
        item.compare = item.token_type && compared_ < kComparedDocuments;
        batch.push_back(std::move(item));
      }
      if (more && batch_bytes < kBatchBytes && batch.size() < kBatchItems) {
        continue;
      }
      ParallelFor(static_cast<int64_t>(batch.size()), kIngestGrain,
                  [&](int64_t begin, int64_t end) {
                    for (int64_t i = begin; i < end; ++i) {
                      ParseItem(input, tokenizer_, &batch[i]);
                    }
                  });
      LORY_RETURN_IF_ERROR(TakeAll(input, &batch));
      LORY_RETURN_IF_ERROR(CheckTokenizer(input, file, /*is_whole=*/!more));
      progress_.Advance(std::exchange(batch_bytes, 0));
    }
    compared_ = alike_ = 0;
    return absl::OkStatus();
  }

  absl::Status ReadTexts(const CorpusInput& input, const InputFiles& found) {
    const int64_t count = static_cast<int64_t>(found.files.size());
    for (int64_t first = 0; first < count;) {
      // At least one, and no more than fit into a batch.
      int64_t end = first;
      int64_t bytes = 0;
      while (end < count && end - first < kIngestGrain &&
             (end == first || bytes < kBatchBytes)) {
        LORY_ASSIGN_OR_RETURN(const int64_t size,
                              BytesInMemory(found.files[end++].path));
        bytes += size;
      }
      std::vector<InputItem> batch(end - first);
      ParallelFor(static_cast<int64_t>(batch.size()), 1,
                  [&](int64_t begin, int64_t stop) {
                    for (int64_t i = begin; i < stop; ++i) {
                      ReadText(input, found.files[first + i], &batch[i]);
                    }
                  });
      LORY_RETURN_IF_ERROR(TakeAll(input, &batch));
      first = end;
    }
    return absl::OkStatus();
  }

  // On any thread.
  void ReadText(const CorpusInput& input, const InputFile& file,
                InputItem* item) {
    item->where = file.path;
    item->name = file.name;
    absl::StatusOr<std::string> bytes = ReadWhole(file.path, kMaxLineBytes);
    item->status = bytes.status();
    if (!bytes.ok()) return;
    progress_.Advance(static_cast<int64_t>(bytes->size()));
    item->bytes = *std::move(bytes);
    ParseItem(input, tokenizer_, item);
  }

  // In the order they came, whatever the threads did.
  absl::Status TakeAll(const CorpusInput& input,
                       std::vector<InputItem>* batch) {
    for (const InputItem& item : *batch) {
      if (!item.status.ok()) {
        LORY_RETURN_IF_ERROR(CountBad(input, item.where, item.status));
        continue;
      }
      if (item.made_by_tokenizer && compared_ < kComparedDocuments) {
        ++compared_;
        alike_ += *item.made_by_tokenizer;
      }
      empty_ += item.empty_documents;
      for (const InputDocument& document : item.documents) {
        LORY_RETURN_IF_ERROR(Take(input, document));
      }
    }
    batch->clear();
    return absl::OkStatus();
  }

  absl::Status Take(const CorpusInput& input, const InputDocument& document) {
    if (!document.status.ok()) {
      return CountBad(input, document.where, document.status);
    }
    if (document.empty) {
      ++empty_;
      return absl::OkStatus();
    }
    if (!seen_.insert(document.id).second) {
      CountDuplicate(document);
      return absl::OkStatus();
    }
    const InputLine& line = document.line;
    text_bytes_ += static_cast<int64_t>(line.text.size());
    const std::string& domain =
        !input.domain.empty() ? input.domain : line.domain;
    if (tokens_ != nullptr) {
      LORY_RETURN_IF_ERROR(tokens_->Append(document.tokens));
      token_documents_ += !document.tokens.empty();
    }
    return writer_->Append(document.id, line.name,
                           domain.empty() ? kNoDomain : domain, line.text);
  }

  // Nothing in a file says who made its tokens, but their text does.
  absl::Status CheckTokenizer(const CorpusInput& input, const InputFile& file,
                              bool is_whole) const {
    if (!is_whole && compared_ < kComparedDocuments) return absl::OkStatus();
    if (kLeastAlike * compared_ <= alike_) {
      return absl::OkStatus();
    }
    return absl::FailedPreconditionError(absl::StrCat(
        file.path, ": of ", compared_, " documents looked at, ", alike_,
        " have the tokens that tokenizer.file makes of their text: another "
        "tokenizer made them. Give that one as tokenizer.file, or the text as "
        "input",
        TypeToCheck(input)));
  }

  void CountDuplicate(const InputDocument& item) {
    if (++duplicates_ > kWrittenDuplicates) return;
    // Without the folder: what a stage writes depends on content alone.
    const size_t slash = item.where.rfind('/');
    duplicate_lines_ += LineOf({{"where", item.where.substr(slash + 1)},
                                {"name", item.line.name},
                                {"same_as", ToHex(item.id)}});
    if (duplicates_ <= kShownDuplicates) {
      progress_.Say(absl::StrCat(item.where, ": the same text as document ",
                                 ToHex(item.id)));
    }
  }

  void CountSkipped(const InputFiles& found) {
    for (const SkippedFile& file : found.skipped) {
      if (++skipped_ > kWrittenSkipped) continue;
      const absl::string_view why = NameOf(file.reason);
      skipped_lines_ +=
          LineOf({{"name", file.name}, {"why", std::string(why)}});
      if (skipped_ > kShownSkipped) continue;
      progress_.Say(absl::StrCat("not read: ", file.name, " (", why, ")"));
    }
  }

  // Errors that are not the item's own are the build's.
  absl::Status CountBad(const CorpusInput& input, const std::string& where,
                        const absl::Status& status) {
    if (!absl::IsInvalidArgument(status) && !absl::IsOutOfRange(status)) {
      return status;
    }
    const std::string what = absl::StrCat(where, ": ", status.message());
    if (++bad_ <= kShownErrors) progress_.Say(what);
    last_bad_ = absl::StrCat(", the last: ", what, TypeToCheck(input));
    if (bad_ <= max_errors_) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        "more than ", max_errors_, " bad lines (max_errors)", last_bad_));
  }

  const std::string folder_;
  std::unique_ptr<DocumentStoreWriter> writer_;
  const std::unique_ptr<TokenStoreWriter> tokens_;  // none: all is text
  const int64_t max_errors_;
  const text::Tokenizer* const tokenizer_;
  Progress& progress_;
  absl::flat_hash_set<DocumentId> seen_;
  int64_t text_bytes_ = 0;
  int64_t bad_ = 0;
  std::string last_bad_;  // as the end of a sentence
  int64_t duplicates_ = 0;
  std::string duplicate_lines_;
  int64_t empty_ = 0;
  int64_t skipped_ = 0;
  std::string skipped_lines_;
  int64_t token_documents_ = 0;
  // How the first items of this file that can tell compare with what the
  // tokenizer makes.
  int64_t compared_ = 0;
  int64_t alike_ = 0;
};

// Bytes of items to read; 0: not known, because some of it is compressed.
absl::StatusOr<int64_t> BytesOfInputs(const std::vector<CorpusInput>& inputs) {
  int64_t total = 0;
  for (const CorpusInput& input : inputs) {
    LORY_ASSIGN_OR_RETURN(const InputFiles found, FilesOf(input));
    for (const InputFile& file : found.files) {
      LORY_ASSIGN_OR_RETURN(auto parts, PartsOf(input, file));
      // What only says where the items are is none of them.
      if (parts.size() > 1) parts.erase(parts.begin());
      for (const InputFile& part : parts) {
        if (IsCompressedName(part.path)) return 0;
        LORY_ASSIGN_OR_RETURN(const int64_t bytes,
                              io::LocalStorage().Size(part.path));
        total += bytes;
      }
    }
  }
  return total;
}

}  // namespace

absl::StatusOr<StageResult> Ingest(const std::vector<CorpusInput>& inputs,
                                   int64_t max_errors,
                                   const std::string& folder,
                                   Progress& progress,
                                   const text::Tokenizer* tokenizer) {
  LORY_ASSIGN_OR_RETURN(const int64_t total, BytesOfInputs(inputs));
  progress.Start("ingest", total, "bytes");
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<DocumentStoreWriter> writer,
                        DocumentStoreWriter::Create(folder));
  std::unique_ptr<TokenStoreWriter> tokens;
  if (tokenizer != nullptr) {
    LORY_ASSIGN_OR_RETURN(tokens, TokenStoreWriter::Create(folder));
  }
  Ingestion ingestion(folder, std::move(writer), std::move(tokens), max_errors,
                      tokenizer, progress);
  for (const CorpusInput& input : inputs) {
    LORY_RETURN_IF_ERROR(ingestion.ReadInput(input));
  }
  return ingestion.Finish();
}

}  // namespace lory::corpus
