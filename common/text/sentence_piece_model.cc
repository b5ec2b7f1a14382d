#include "common/text/sentence_piece_model.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/status_macros.h"
#include "common/text/json_fields.h"
#include "common/text/tokenizer_json.h"
#include "common/text/utf8.h"
#include "common/text/wire_reader.h"

namespace lory::text {
namespace {

// Numbers of sentencepiece_model.proto.
enum class PieceType : uint64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6,
};
constexpr uint64_t kBpe = 2;

constexpr size_t kMostPieces = size_t{1} << 24;
// Of a piece; SentencePiece's own limit is 16 characters.
constexpr size_t kMostPieceBytes = 4096;

struct SentencePiece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

// What the file says, with the defaults of the proto.
struct SentencePieceFile {
  std::vector<SentencePiece> pieces;
  uint64_t model_type = 1;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  absl::string_view charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
  bool denormalizes = false;
};

absl::StatusOr<SentencePiece> ReadPiece(absl::string_view bytes) {
  SentencePiece piece;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) piece.text = std::string(reader.bytes());
    if (reader.field() == 2) piece.score = reader.real();
    if (reader.field() == 3) {
      piece.type = static_cast<PieceType>(reader.number());
    }
  }
  LORY_RETURN_IF_ERROR(reader.status());
  return piece;
}

absl::Status ReadTrainerSpec(absl::string_view bytes, SentencePieceFile* file) {
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 3) file->model_type = reader.number();
    if (reader.field() == 24) file->whitespace_as_suffix = reader.number() != 0;
    if (reader.field() == 35) file->byte_fallback = reader.number() != 0;
  }
  return reader.status();
}

absl::Status ReadNormalizerSpec(absl::string_view bytes,
                                SentencePieceFile* file) {
  WireReader reader(bytes);
  while (reader.Next()) {
    const bool yes = reader.number() != 0;
    if (reader.field() == 2) file->charsmap = reader.bytes();
    if (reader.field() == 3) file->add_dummy_prefix = yes;
    if (reader.field() == 4) file->remove_extra_whitespaces = yes;
    if (reader.field() == 5) file->escape_whitespaces = yes;
  }
  return reader.status();
}

absl::Status ReadDenormalizerSpec(absl::string_view bytes,
                                  SentencePieceFile* file) {
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 2) file->denormalizes = !reader.bytes().empty();
  }
  return reader.status();
}

absl::StatusOr<SentencePieceFile> ReadFile(absl::string_view bytes) {
  SentencePieceFile file;
  WireReader reader(bytes);
  while (reader.Next()) {
    if (reader.field() == 1) {
      if (file.pieces.size() == kMostPieces) {
        return absl::InvalidArgumentError("too many pieces");
      }
      LORY_ASSIGN_OR_RETURN(file.pieces.emplace_back(),
                            ReadPiece(reader.bytes()));
    } else if (reader.field() == 2) {
      LORY_RETURN_IF_ERROR(ReadTrainerSpec(reader.bytes(), &file));
    } else if (reader.field() == 3) {
      LORY_RETURN_IF_ERROR(ReadNormalizerSpec(reader.bytes(), &file));
    } else if (reader.field() == 5) {
      LORY_RETURN_IF_ERROR(ReadDenormalizerSpec(reader.bytes(), &file));
    }
  }
  LORY_RETURN_IF_ERROR(reader.status());
  return file;
}

absl::Status CheckFeatures(const SentencePieceFile& file) {
  if (file.pieces.empty())
    return absl::InvalidArgumentError("it has no pieces");
  if (file.model_type != kBpe) {
    const char* const names[] = {"", "unigram", "bpe", "word", "char"};
    return Unsupported(
        absl::StrCat("a SentencePiece model of type ",
                     file.model_type < 5 ? names[file.model_type] : "unknown",
                     "; only bpe"));
  }
  if (!file.byte_fallback) {
    return Unsupported(
        "a SentencePiece model without byte_fallback: it would lose text");
  }
  if (file.whitespace_as_suffix)
    return Unsupported("treat_whitespace_as_suffix");
  if (!file.escape_whitespaces) return Unsupported("escape_whitespaces: false");
  if (file.denormalizes) return Unsupported("a denormalizer");
  return absl::OkStatus();
}

// Makes tokens and their merges of the pieces.
class PiecesReader {
 public:
  PiecesReader(const std::vector<SentencePiece>& pieces, BytePairParts* parts)
      : pieces_(pieces), parts_(*parts) {}

  absl::Status Read() {
    parts_.model.tokens.resize(pieces_.size());
    for (size_t id = 0; id < pieces_.size(); ++id) {
      LORY_RETURN_IF_ERROR(AddPiece(static_cast<int32_t>(id)));
    }
    for (int byte = 0; byte < 256; ++byte) {
      const std::string name = ByteTokenName(static_cast<uint8_t>(byte));
      if (!bytes_.contains(name)) {
        return absl::InvalidArgumentError(
            absl::StrCat("no piece for byte ", byte, " ('", name, "')"));
      }
    }
    return AddMerges();
  }

 private:
  absl::Status AddPiece(int32_t id) {
    const SentencePiece& piece = pieces_[id];
    if (piece.text.empty() || piece.text.size() > kMostPieceBytes ||
        std::isnan(piece.score) || !seen_.emplace(piece.text, id).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("piece ", id,
                       " is empty, too long, has no score or is "
                       "there twice"));
    }
    switch (piece.type) {
      case PieceType::kNormal:
        normal_.emplace(piece.text, id);
        parts_.model.tokens[id] = piece.text;
        return absl::OkStatus();
      case PieceType::kByte:
        bytes_.emplace(piece.text, id);
        parts_.model.tokens[id] = piece.text;
        return absl::OkStatus();
      case PieceType::kUserDefined:
        parts_.added.push_back({{piece.text, id, /*is_special=*/false},
                                /*in_normalized=*/true});
        return absl::OkStatus();
      case PieceType::kUnknown:
        parts_.specials.emplace(piece.text, id);
        return absl::OkStatus();
      case PieceType::kControl:
        return AddControl(piece, id);
      default:
        return Unsupported(absl::StrCat("piece ", id, " ('", piece.text,
                                        "') of type ",
                                        static_cast<uint64_t>(piece.type)));
    }
  }

  absl::Status AddControl(const SentencePiece& piece, int32_t id) {
    parts_.specials.emplace(piece.text, id);
    const int rank = EndOfDocumentRank(piece.text);
    if (rank >= 0 && (end_rank_ < 0 || rank < end_rank_)) {
      end_rank_ = rank;
      parts_.model.end_of_document_id = id;
      parts_.model.end_of_document = piece.text;
    }
    return absl::OkStatus();
  }

  // Any two tokens that are a third one together are joined, by its score.
  absl::Status AddMerges() {
    std::vector<int32_t> order;
    for (const auto& [text, id] : normal_) order.push_back(id);
    std::sort(order.begin(), order.end(), [this](int32_t a, int32_t b) {
      return std::pair(-pieces_[a].score, a) < std::pair(-pieces_[b].score, b);
    });
    int32_t rank = -1;
    for (size_t i = 0; i < order.size(); ++i) {
      const SentencePiece& piece = pieces_[order[i]];
      rank += i == 0 || piece.score != pieces_[order[i - 1]].score;
      LORY_RETURN_IF_ERROR(AddSplits(piece.text, rank));
    }
    return absl::OkStatus();
  }

  absl::Status AddSplits(const std::string& text, int32_t rank) {
    BytePairModel& model = parts_.model;
    for (size_t at = 0; at < text.size();) {
      const absl::string_view rest = absl::string_view(text).substr(at);
      const size_t bytes = FirstCharacterBytes(rest);
      if (bytes == 0 || !seen_.contains(rest.substr(0, bytes))) {
        return Unsupported(absl::StrCat("the piece '", text,
                                        "' has a character that is no piece"));
      }
      at += bytes;
      const auto left = normal_.find(absl::string_view(text).substr(0, at));
      const auto right = normal_.find(absl::string_view(text).substr(at));
      if (left == normal_.end() || right == normal_.end()) continue;
      model.merges.emplace_back(left->second, right->second);
      model.merge_ranks.push_back(rank);
    }
    return absl::OkStatus();
  }

  const std::vector<SentencePiece>& pieces_;
  BytePairParts& parts_;
  absl::flat_hash_map<std::string, int32_t> seen_, normal_, bytes_;
  int end_rank_ = -1;
};

}  // namespace

absl::StatusOr<BytePairParts> ParseSentencePieceModel(absl::string_view bytes) {
  auto file = ReadFile(bytes);
  if (!file.ok()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "neither JSON nor a SentencePiece model: ", file.status().message()));
  }
  LORY_RETURN_IF_ERROR(CheckFeatures(*file));
  BytePairParts parts;
  parts.model.unit = BytePairModel::Unit::kCharacter;
  parts.pre_tokenizer.emplace();
  parts.marks_are_spaces = true;
  parts.drops_first_space = file->add_dummy_prefix;
  LORY_RETURN_IF_ERROR(PiecesReader(file->pieces, &parts).Read());
  SentenceNormalizer& normalizer = parts.sentence_normalizer.emplace();
  LORY_ASSIGN_OR_RETURN(normalizer.map, CharacterMap::Parse(file->charsmap));
  normalizer.add_dummy_prefix = file->add_dummy_prefix;
  normalizer.remove_extra_whitespaces = file->remove_extra_whitespaces;
  std::vector<AddedTokens::Token> user_defined;
  for (const auto& added : parts.added) user_defined.push_back(added.token);
  normalizer.user_defined = AddedTokens(std::move(user_defined));
  return parts;
}

}  // namespace lory::text
