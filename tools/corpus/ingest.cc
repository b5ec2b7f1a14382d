#include "tools/corpus/ingest.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "nlohmann/json.hpp"
#include "tools/corpus/document_store.h"
#include "tools/corpus/input_files.h"
#include "tools/corpus/input_line.h"
#include "tools/corpus/line_reader.h"
#include "tools/corpus/parallel.h"

namespace lory::corpus {
namespace {

constexpr char kNoDomain[] = "text";
// Bad lines are shown up to here and only counted after.
constexpr int64_t kShownErrors = 20;
// Duplicates are shown and written down as examples, and counted in any case.
constexpr int64_t kShownDuplicates = 3;
constexpr int64_t kWrittenDuplicates = 10'000;
// Of input that is in memory at a time, but for a single longer line.
constexpr size_t kBatchBytes = 8 << 20;
constexpr int64_t kIngestGrain = 32;  // lines, or files of text
// How much text rarely takes more of than when it is compressed.
constexpr int64_t kCompressedTimes = 16;

// A line or file as it came, and what became of it.
struct Item {
  std::string where;  // for people
  std::string bytes;
  absl::StatusOr<InputLine> parsed = absl::UnknownError("not parsed");
  DocumentId id;
  bool empty = false;
};

// On any thread; `name` of a file of text, else unused.
void ParseItem(const CorpusInput& input, absl::string_view name, Item* item) {
  item->parsed = input.format == InputFormat::kText
                     ? ParseTextFile(item->bytes, name)
                     : ParseInputLine(item->bytes, input.keys);
  item->bytes = {};  // what is of use was copied
  if (!item->parsed.ok()) return;
  item->empty = absl::StripAsciiWhitespace(item->parsed->text).empty();
  if (!item->empty) item->id = IdOfText(item->parsed->text);
}

// What a file may take once it is read; a guess if it is compressed.
absl::StatusOr<int64_t> BytesInMemory(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(const int64_t bytes, io::LocalStorage().Size(path));
  return IsCompressedName(path) ? kCompressedTimes * bytes : bytes;
}

// The state of one ingestion.
class Ingestion {
 public:
  Ingestion(std::string folder, std::unique_ptr<DocumentStoreWriter> writer,
            int64_t max_errors, Progress& progress)
      : folder_(std::move(folder)),
        writer_(std::move(writer)),
        max_errors_(max_errors),
        progress_(progress) {}

  absl::Status ReadInput(const CorpusInput& input) {
    LORY_ASSIGN_OR_RETURN(const InputFiles found, FilesOf(input));
    skipped_ += found.skipped;
    if (input.format == InputFormat::kText) return ReadTexts(input, found);
    for (const InputFile& file : found.files) {
      LORY_RETURN_IF_ERROR(ReadLines(input, file.path));
    }
    return absl::OkStatus();
  }

  absl::StatusOr<StageResult> Finish() {
    if (writer_->document_count() == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the corpus is empty: the inputs have no document (",
                       empty_, " empty ones, ", bad_, " bad lines, ", skipped_,
                       " files or folders skipped)"));
    }
    LORY_RETURN_IF_ERROR(writer_->Finish());
    StageResult result;
    result.files = DocumentStoreWriter::Files();
    LORY_RETURN_IF_ERROR(io::LocalStorage().Write(
        absl::StrCat(folder_, "/", kDuplicatesFile), duplicate_lines_));
    result.files.push_back(kDuplicatesFile);
    result.figures = {
        {"documents", static_cast<double>(writer_->document_count())},
        {"domains", static_cast<double>(writer_->domain_count())},
        {"text_bytes", static_cast<double>(text_bytes_)},
        {"bad_lines", static_cast<double>(bad_)},
        {"duplicates", static_cast<double>(duplicates_)},
        {"empty", static_cast<double>(empty_)},
        {"skipped_files", static_cast<double>(skipped_)}};
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
  absl::Status ReadLines(const CorpusInput& input, const std::string& path) {
    LORY_ASSIGN_OR_RETURN(const std::unique_ptr<LineReader> lines,
                          LineReader::Open(path));
    std::vector<Item> batch;
    size_t batch_bytes = 0;
    while (true) {
      const auto line = lines->Next();
      if (!line.ok() && !absl::IsOutOfRange(line.status())) {
        return line.status();
      }
      const bool at_end = line.ok() && !*line;
      if (at_end || batch_bytes >= kBatchBytes) {
        ParallelFor(static_cast<int64_t>(batch.size()), kIngestGrain,
                    [&](int64_t begin, int64_t end) {
                      for (int64_t i = begin; i < end; ++i) {
                        if (!batch[i].bytes.empty()) {
                          ParseItem(input, "", &batch[i]);
                        }
                      }
                    });
        LORY_RETURN_IF_ERROR(TakeAll(input, &batch));
        progress_.Advance(static_cast<int64_t>(batch_bytes));
        batch_bytes = 0;
      }
      if (at_end) return absl::OkStatus();
      const std::string where = absl::StrCat(path, ":", lines->line_number());
      if (!line.ok()) {  // in its place, for the order of what is reported
        batch.push_back({.where = where, .parsed = line.status()});
        batch_bytes += kMaxLineBytes;
        continue;
      }
      batch_bytes += (*line)->size() + 1;
      // Blank lines are no documents and no mistakes.
      if (absl::StripAsciiWhitespace(**line).empty()) continue;
      batch.push_back({.where = where, .bytes = std::string(**line)});
    }
  }

  absl::Status ReadTexts(const CorpusInput& input, const InputFiles& found) {
    const int64_t count = static_cast<int64_t>(found.files.size());
    for (int64_t first = 0; first < count;) {
      // At least one, and no more than fit into a batch.
      int64_t end = first;
      int64_t bytes = 0;
      while (end < count && end - first < kIngestGrain &&
             (end == first || bytes < static_cast<int64_t>(kBatchBytes))) {
        LORY_ASSIGN_OR_RETURN(const int64_t size,
                              BytesInMemory(found.files[end++].path));
        bytes += size;
      }
      std::vector<Item> batch(end - first);
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
  void ReadText(const CorpusInput& input, const InputFile& file, Item* item) {
    item->where = file.path;
    absl::StatusOr<std::string> bytes = ReadWhole(file.path, kMaxLineBytes);
    if (!bytes.ok()) {
      item->parsed = bytes.status();
      return;
    }
    progress_.Advance(static_cast<int64_t>(bytes->size()));
    item->bytes = *std::move(bytes);
    ParseItem(input, file.name, item);
  }

  // In the order they came, whatever the threads did.
  absl::Status TakeAll(const CorpusInput& input, std::vector<Item>* batch) {
    for (const Item& item : *batch) LORY_RETURN_IF_ERROR(Take(input, item));
    batch->clear();
    return absl::OkStatus();
  }

  absl::Status Take(const CorpusInput& input, const Item& item) {
    const absl::Status& status = item.parsed.status();
    if (absl::IsInvalidArgument(status) || absl::IsOutOfRange(status)) {
      return CountBad(absl::StrCat(item.where, ": ", status.message()));
    }
    LORY_RETURN_IF_ERROR(status);
    if (item.empty) {
      ++empty_;
      return absl::OkStatus();
    }
    if (!seen_.insert(item.id).second) {
      CountDuplicate(item);
      return absl::OkStatus();
    }
    const InputLine& line = *item.parsed;
    text_bytes_ += static_cast<int64_t>(line.text.size());
    const std::string& domain =
        !input.domain.empty() ? input.domain : line.domain;
    return writer_->Append(item.id, line.name,
                           domain.empty() ? kNoDomain : domain, line.text);
  }

  void CountDuplicate(const Item& item) {
    if (++duplicates_ > kWrittenDuplicates) return;
    // Without the folder: what a stage writes depends on content alone.
    const size_t slash = item.where.rfind('/');
    const nlohmann::ordered_json line = {
        {"where", item.where.substr(slash + 1)},
        {"name", item.parsed->name},
        {"same_as", ToHex(item.id)}};
    // Names of files need not be UTF-8; the default would throw.
    absl::StrAppend(&duplicate_lines_,
                    line.dump(-1, ' ', false,
                              nlohmann::ordered_json::error_handler_t::replace),
                    "\n");
    if (duplicates_ <= kShownDuplicates) {
      progress_.Say(absl::StrCat(item.where, ": the same text as document ",
                                 ToHex(item.id)));
    }
  }

  absl::Status CountBad(std::string what) {
    if (++bad_ <= kShownErrors) progress_.Say(what);
    if (bad_ <= max_errors_) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("more than ", max_errors_,
                     " bad lines (max_errors), the last: ", what));
  }

  const std::string folder_;
  std::unique_ptr<DocumentStoreWriter> writer_;
  const int64_t max_errors_;
  Progress& progress_;
  absl::flat_hash_set<DocumentId> seen_;
  int64_t text_bytes_ = 0;
  int64_t bad_ = 0;
  int64_t duplicates_ = 0;
  std::string duplicate_lines_;
  int64_t empty_ = 0;
  int64_t skipped_ = 0;
};

// Bytes to read; 0: not known, because some of it is compressed.
absl::StatusOr<int64_t> BytesOfInputs(const std::vector<CorpusInput>& inputs) {
  int64_t total = 0;
  for (const CorpusInput& input : inputs) {
    LORY_ASSIGN_OR_RETURN(const InputFiles found, FilesOf(input));
    for (const InputFile& file : found.files) {
      if (IsCompressedName(file.path)) return 0;
      LORY_ASSIGN_OR_RETURN(const int64_t bytes,
                            io::LocalStorage().Size(file.path));
      total += bytes;
    }
  }
  return total;
}

}  // namespace

absl::StatusOr<StageResult> Ingest(const std::vector<CorpusInput>& inputs,
                                   int64_t max_errors,
                                   const std::string& folder,
                                   Progress& progress) {
  LORY_ASSIGN_OR_RETURN(const int64_t total, BytesOfInputs(inputs));
  progress.Start("ingest", total);
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<DocumentStoreWriter> writer,
                        DocumentStoreWriter::Create(folder));
  Ingestion ingestion(folder, std::move(writer), max_errors, progress);
  for (const CorpusInput& input : inputs) {
    LORY_RETURN_IF_ERROR(ingestion.ReadInput(input));
  }
  return ingestion.Finish();
}

}  // namespace lory::corpus
