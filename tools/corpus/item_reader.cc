#include "tools/corpus/item_reader.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "tools/corpus/line_reader.h"
#include "tools/corpus/mds_index.h"
#include "tools/corpus/mds_sample.h"
#include "tools/corpus/mds_shard.h"
#include "tools/corpus/megatron_tokens.h"

namespace lory::corpus {
namespace {

class LineItems final : public ItemReader {
 public:
  LineItems(std::string path, std::unique_ptr<LineReader> lines)
      : path_(std::move(path)), lines_(std::move(lines)) {}

  absl::StatusOr<bool> Next(InputItem* item) override {
    while (true) {
      const auto line = lines_->Next();
      if (!line.ok() && !absl::IsOutOfRange(line.status())) {
        return line.status();
      }
      if (line.ok() && !*line) return false;
      item->read_bytes += line.ok() ? static_cast<int64_t>((*line)->size()) + 1
                                    : int64_t{kMaxLineBytes};
      // Blank lines are no documents and no mistakes.
      if (line.ok() && absl::StripAsciiWhitespace(**line).empty()) continue;
      item->where = absl::StrCat(path_, ":", lines_->line_number());
      item->status = line.status();
      if (line.ok()) item->bytes = std::string(**line);
      return true;
    }
  }

 private:
  const std::string path_;
  const std::unique_ptr<LineReader> lines_;
};

class MegatronItems final : public ItemReader {
 public:
  MegatronItems(const InputFile& file, std::unique_ptr<MegatronTokens> tokens)
      : path_(file.path),
        name_(absl::StripSuffix(file.name, kMegatronIndexEnd)),
        tokens_(std::move(tokens)) {}

  absl::StatusOr<bool> Next(InputItem* item) override {
    if (next_ == tokens_->document_count()) return false;
    const absl::string_view bytes = tokens_->BytesOf(next_);
    item->where = absl::StrCat(path_, ": document ", next_);
    item->name = absl::StrCat(name_, ":", next_);
    item->token_type = tokens_->type();
    item->read_bytes = static_cast<int64_t>(bytes.size());
    if (bytes.size() > kMaxLineBytes) {
      item->status = absl::OutOfRangeError(
          absl::StrCat("longer than ", kMaxLineBytes >> 20, " MiB"));
    } else {
      item->bytes = std::string(bytes);
    }
    ++next_;
    return true;
  }

 private:
  const std::string path_;
  const std::string name_;
  const std::unique_ptr<MegatronTokens> tokens_;
  int64_t next_ = 0;
};

// All shards of an index, one after the other.
class MdsItems final : public ItemReader {
 public:
  MdsItems(const CorpusInput& input, const InputFile& file,
           std::vector<MdsShard> shards)
      : input_(input),
        folder_(file.name.substr(0, file.name.rfind('/') + 1)),
        shards_(std::move(shards)) {}

  absl::StatusOr<bool> Next(InputItem* item) override {
    while (shard_ < shards_.size()) {
      if (reader_ == nullptr) LORY_RETURN_IF_ERROR(OpenShard());
      const auto sample = reader_->Next();
      if (!sample.ok() && !absl::IsOutOfRange(sample.status())) {
        return sample.status();
      }
      if (!sample.ok() || *sample) {
        Fill(sample, item);
        return true;
      }
      reader_ = nullptr;
      ++shard_;
    }
    return false;
  }

 private:
  absl::Status OpenShard() {
    const MdsShard& shard = shards_[shard_];
    LORY_ASSIGN_OR_RETURN(reader_, MdsShardReader::Open(shard));
    auto samples = MdsSampleReader::Create(shard.columns, input_);
    if (!samples.ok()) return Annotate(samples.status(), shard.path);
    samples_ = *std::move(samples);
    return absl::OkStatus();
  }

  void Fill(const absl::StatusOr<std::optional<absl::string_view>>& sample,
            InputItem* item) {
    const MdsShard& shard = shards_[shard_];
    const int64_t number = reader_->sample_number();
    item->where = absl::StrCat(shard.path, ": sample ", number);
    item->name = absl::StrCat(folder_, shard.name, ":", number);
    item->status = sample.status();
    item->read_bytes = sample.ok() ? static_cast<int64_t>((*sample)->size())
                                   : int64_t{kMaxLineBytes};
    if (!sample.ok()) return;
    const auto document = samples_->Read(**sample);
    item->status = document.status();
    if (!document.ok()) return;
    item->bytes = std::string(document->bytes);
    item->token_type = document->type;
    item->domain = document->domain;
    if (!document->name.empty()) item->name = document->name;
  }

  const CorpusInput& input_;
  const std::string folder_;
  const std::vector<MdsShard> shards_;
  size_t shard_ = 0;
  std::unique_ptr<MdsShardReader> reader_;  // none: shard_ is not yet open
  std::optional<MdsSampleReader> samples_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<ItemReader>> ItemReader::Open(
    const CorpusInput& input, const InputFile& file) {
  if (input.format == InputFormat::kMegatron) {
    LORY_ASSIGN_OR_RETURN(std::unique_ptr<MegatronTokens> tokens,
                          MegatronTokens::Open(file.path));
    return std::make_unique<MegatronItems>(file, std::move(tokens));
  }
  if (input.format == InputFormat::kMds) {
    LORY_ASSIGN_OR_RETURN(std::vector<MdsShard> shards,
                          ReadMdsIndex(file.path));
    return std::make_unique<MdsItems>(input, file, std::move(shards));
  }
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<LineReader> lines,
                        LineReader::Open(file.path));
  return std::make_unique<LineItems>(file.path, std::move(lines));
}

}  // namespace lory::corpus
