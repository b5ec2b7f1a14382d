#include "tools/corpus/megatron_tokens.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status_macros.h"
#include "common/data/shard_layout.h"

namespace lory::corpus {
namespace {

constexpr int64_t kLengthBytes = 4;
constexpr int64_t kPointerBytes = 8;
constexpr int64_t kMarkBytes = 8;

template <typename T>
T LoadAt(absl::string_view bytes, int64_t offset) {
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof(value));
  return value;
}

int64_t LengthAt(int64_t sequence) {
  return data::kShardHeaderBytes + sequence * kLengthBytes;
}
int64_t PointerAt(int64_t sequences, int64_t sequence) {
  return LengthAt(sequences) + sequence * kPointerBytes;
}
int64_t MarkAt(int64_t sequences, int64_t mark) {
  return PointerAt(sequences, sequences) + mark * kMarkBytes;
}

// By Megatron's codes.
std::optional<TokenType> TypeOfCode(uint8_t code) {
  switch (code) {
    case 1:
      return TokenType::kUint8;
    case 2:
      return TokenType::kInt8;
    case 3:
      return TokenType::kInt16;
    case 4:
      return TokenType::kInt32;
    case 5:
      return TokenType::kInt64;
    case 8:
      return TokenType::kUint16;
    default:
      return std::nullopt;
  }
}

template <typename... Words>
absl::Status Damaged(const Words&... words) {
  return absl::DataLossError(absl::StrCat(words...));
}

}  // namespace

std::string MegatronBinOf(absl::string_view idx_path) {
  return absl::StrCat(absl::StripSuffix(idx_path, kMegatronIndexEnd), ".bin");
}

absl::StatusOr<std::unique_ptr<MegatronTokens>> MegatronTokens::Open(
    const std::string& idx_path) {
  if (!absl::EndsWith(idx_path, kMegatronIndexEnd)) {
    return absl::InvalidArgumentError(
        absl::StrCat(idx_path, ": give the .idx; its .bin is found beside it"));
  }
  const std::string bin_path = MegatronBinOf(idx_path);
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> idx,
                        io::MappedFile::Open(idx_path));
  LORY_ASSIGN_OR_RETURN(std::unique_ptr<io::MappedFile> bin,
                        io::MappedFile::Open(bin_path));
  std::unique_ptr<MegatronTokens> tokens(
      new MegatronTokens(std::move(idx), std::move(bin)));
  absl::Status status = tokens->CheckHeader();
  if (status.ok()) status = tokens->CheckSequences(bin_path);
  if (status.ok()) status = tokens->CheckDocuments();
  if (!status.ok()) return Annotate(status, idx_path);
  return tokens;
}

absl::Status MegatronTokens::CheckHeader() {
  const absl::string_view idx = idx_->bytes();
  const int64_t size = static_cast<int64_t>(idx.size());
  if (size < data::kShardHeaderBytes) {
    return Damaged("truncated: ", size, " bytes, its header has ",
                   data::kShardHeaderBytes);
  }
  if (!std::equal(data::kShardMagic.begin(), data::kShardMagic.end(),
                  idx.begin())) {
    return Damaged("no index of Megatron-LM: it does not begin with MMIDIDX");
  }
  if (const auto version = LoadAt<uint64_t>(idx, 9);
      version != data::kShardVersion) {
    return Damaged("version ", version, " (byte 9), expected ",
                   data::kShardVersion);
  }
  const auto code = LoadAt<uint8_t>(idx, 17);
  const std::optional<TokenType> type = TypeOfCode(code);
  if (!type) {
    return absl::InvalidArgumentError(
        absl::StrCat("type ", code,
                     " (byte 17) is none of token ids, which have 1, 2, 3, "
                     "4, 5 or 8"));
  }
  type_ = *type;
  const auto sequences = LoadAt<uint64_t>(idx, 18);
  const auto marks = LoadAt<uint64_t>(idx, 26);
  // Bounds both before they are multiplied.
  if (sequences > idx.size() || marks > idx.size()) {
    return Damaged("truncated or altered: ", size, " bytes do not hold ",
                   sequences, " sequences and ", marks, " document marks");
  }
  sequence_count_ = static_cast<int64_t>(sequences);
  document_count_ = static_cast<int64_t>(marks) - 1;
  const int64_t needed = MarkAt(sequence_count_, document_count_ + 1);
  if (sequence_count_ > 0 && size == needed + sequence_count_) {
    return absl::InvalidArgumentError(
        "it has modes of sequences (multimodal): only text is read");
  }
  if (size != needed) {
    return Damaged("truncated or altered: ", size, " bytes, ", sequences,
                   " sequences and ", marks, " document marks need ", needed);
  }
  return absl::OkStatus();
}

// Megatron writes sequences one after the other: pointers are sums of lengths.
// Anything else is a length that lies, or tokens that would be lost.
absl::Status MegatronTokens::CheckSequences(const std::string& bin_path) const {
  const absl::string_view idx = idx_->bytes();
  const int64_t bin_bytes = static_cast<int64_t>(bin_->bytes().size());
  int64_t end = 0;
  for (int64_t i = 0; i < sequence_count_; ++i) {
    const auto length = LoadAt<int32_t>(idx, LengthAt(i));
    if (length < 0) {
      return Damaged("sequence ", i, " has ", length, " tokens (byte ",
                     LengthAt(i), ")");
    }
    if (const int64_t begin = BeginOf(i); begin != end) {
      return Damaged("sequence ", i, " begins at byte ", begin,
                     " of the .bin (byte ", PointerAt(sequence_count_, i),
                     "), those before it end at ", end);
    }
    end += length * BytesEach(type_);
    if (end > bin_bytes) {
      return Damaged("sequence ", i, " ends at byte ", end, " of ", bin_path,
                     ", which has only ", bin_bytes);
    }
  }
  if (end != bin_bytes) {
    return Damaged("its sequences have ", end, " bytes, ", bin_path, " has ",
                   bin_bytes);
  }
  return absl::OkStatus();
}

absl::Status MegatronTokens::CheckDocuments() const {
  if (document_count_ < 0) return Damaged("no document mark (byte 26)");
  int64_t before = 0;
  for (int64_t i = 0; i <= document_count_; ++i) {
    const int64_t at = MarkAt(sequence_count_, i);
    const auto mark = LoadAt<int64_t>(idx_->bytes(), at);
    const bool fits =
        i == 0 ? mark == 0 : mark >= before && mark <= sequence_count_;
    if (!fits || (i == document_count_ && mark != sequence_count_)) {
      return Damaged("document mark ", i, " is ", mark, " (byte ", at,
                     "): marks go from 0 up to ", sequence_count_,
                     ", the sequences");
    }
    before = mark;
  }
  return absl::OkStatus();
}

int64_t MegatronTokens::BeginOf(int64_t sequence) const {
  if (sequence == sequence_count_) {
    return static_cast<int64_t>(bin_->bytes().size());
  }
  return LoadAt<int64_t>(idx_->bytes(), PointerAt(sequence_count_, sequence));
}

absl::string_view MegatronTokens::BytesOf(int64_t document) const {
  const absl::string_view idx = idx_->bytes();
  const int64_t begin =
      BeginOf(LoadAt<int64_t>(idx, MarkAt(sequence_count_, document)));
  const int64_t end =
      BeginOf(LoadAt<int64_t>(idx, MarkAt(sequence_count_, document + 1)));
  return bin_->bytes().substr(begin, end - begin);
}

}  // namespace lory::corpus
