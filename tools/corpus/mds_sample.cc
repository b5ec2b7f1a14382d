#include "tools/corpus/mds_sample.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"
#include "simdjson.h"
#include "tools/corpus/input_line.h"

namespace lory::corpus {
namespace {

constexpr char kArray[] = "ndarray";

int PlaceOf(const std::vector<MdsColumn>& columns, const std::string& name) {
  const auto found =
      std::find_if(columns.begin(), columns.end(),
                   [&](const MdsColumn& c) { return c.name == name; });
  return found == columns.end() ? -1
                                : static_cast<int>(found - columns.begin());
}

std::string ColumnNames(const std::vector<MdsColumn>& columns) {
  return absl::StrJoin(columns, ", ", [](std::string* out, const MdsColumn& c) {
    absl::StrAppend(out, c.name, ": ", c.encoding);
  });
}

absl::Status NoColumn(const CorpusInput& input,
                      const std::vector<MdsColumn>& columns) {
  const bool text = input.keys.tokens.empty();
  return absl::InvalidArgumentError(
      absl::StrCat("no column ", text ? input.keys.text : input.keys.tokens,
                   " (it has ", ColumnNames(columns),
                   "); inputs[].tokens_key says which holds tokens, "
                   "text_key which holds text instead"));
}

// The codes that an array begins with, of its type and of its shape's.
std::optional<TokenType> TypeOfArrayCode(uint8_t code) {
  switch (code) {
    case 8:
      return TokenType::kUint8;
    case 9:
      return TokenType::kInt8;
    case 16:
      return TokenType::kUint16;
    case 17:
      return TokenType::kInt16;
    case 32:
      return TokenType::kUint32;
    case 33:
      return TokenType::kInt32;
    case 64:
      return TokenType::kUint64;
    case 65:
      return TokenType::kInt64;
    default:
      return std::nullopt;
  }
}

uint64_t LoadNumber(absl::string_view bytes) {
  uint64_t value = 0;
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof(value)));
  return value;
}

// Takes off the shape, which must be that of a list, and returns its length.
absl::StatusOr<uint64_t> TakeShape(absl::string_view column,
                                   absl::string_view* value) {
  if (value->empty()) return BadValue(column, "is cut off before its shape");
  const auto byte = static_cast<uint8_t>(value->front());
  const size_t dimensions = byte >> 2;
  const size_t bytes = size_t{1} << (byte & 3);
  value->remove_prefix(1);
  if (dimensions != 1) {
    return BadValue(column, absl::StrCat("has ", dimensions,
                                         " dimensions; tokens have one"));
  }
  if (value->size() < bytes) {
    return BadValue(column, "is cut off in its shape");
  }
  const uint64_t length = LoadNumber(value->substr(0, bytes));
  value->remove_prefix(bytes);
  return length;
}

// Of a column that is a whole number; none: it is something else.
std::optional<TokenType> NumberType(const MdsColumn& column) {
  return TokenTypeNamed(column.encoding == "int" ? "int64" : column.encoding);
}

// A column of ids or domains, which need not be there: one that is merely
// called so, as nobody asked for any other, may hold anything.
absl::StatusOr<int> FindWords(const std::vector<MdsColumn>& columns,
                              const std::string& name, absl::string_view key,
                              const std::string& if_not_asked) {
  const int place = PlaceOf(columns, name);
  if (place < 0) return place;
  const MdsColumn& column = columns[place];
  const std::optional<TokenType> number = NumberType(column);
  if (number ? column.size == BytesEach(*number) : column.encoding == "str") {
    return place;
  }
  if (name == if_not_asked) return -1;
  return absl::InvalidArgumentError(
      absl::StrCat("column ", name, " is ", column.encoding, ": inputs[].", key,
                   " must name one of str or int"));
}

// Of a type that is too narrow each number is read as one with zeros behind it,
// which may all be ids: 0 is the end mark of many a tokenizer.
// Zeros at the end fill a sample up and tell nothing.
absl::Status CheckWidth(const std::string& column, absl::string_view value,
                        TokenType type) {
  constexpr size_t kLeastZeros = 8;
  const auto each = static_cast<size_t>(BytesEach(type));
  const size_t told =
      value.find_last_not_of('\0') + 1;  // none is told: all are zeros
  for (size_t wide = 2 * each; wide <= sizeof(uint64_t); wide *= 2) {
    if (value.size() % wide != 0 || told / wide < kLeastZeros) continue;
    bool all_zero = true;
    for (size_t at = wide - each; at < value.size(); at += wide) {
      all_zero = all_zero && LoadNumber(value.substr(at, each)) == 0;
    }
    if (!all_zero) continue;
    return BadValue(
        column,
        absl::StrCat("looks like numbers of ", wide, " bytes: of those of ",
                     each, " every ", wide / each,
                     wide == 2 * each ? "nd" : "th", " is 0"));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> WordsOf(const MdsColumn& column,
                                    absl::string_view value) {
  const std::optional<TokenType> number = NumberType(column);
  if (!number) {
    if (simdjson::validate_utf8(value.data(), value.size())) {
      return std::string(value);
    }
    return BadValue(column.name, "is not UTF-8");
  }
  const uint64_t bits = LoadNumber(value);
  if (absl::StartsWith(NameOf(*number), "u")) return absl::StrCat(bits);
  const int unused = 64 - 8 * static_cast<int>(value.size());
  return absl::StrCat(static_cast<int64_t>(bits << unused) >> unused);
}

}  // namespace

absl::StatusOr<MdsSampleReader> MdsSampleReader::Create(
    const std::vector<MdsColumn>& columns, const CorpusInput& input) {
  MdsSampleReader reader;
  reader.columns_ = columns;
  LORY_ASSIGN_OR_RETURN(
      reader.id_, FindWords(columns, input.keys.id, "id_key", InputKeys().id));
  if (input.domain.empty()) {
    LORY_ASSIGN_OR_RETURN(reader.domain_,
                          FindWords(columns, input.keys.domain, "domain_key",
                                    InputKeys().domain));
  }
  reader.is_text_ = input.keys.tokens.empty();
  reader.content_ =
      PlaceOf(columns, reader.is_text_ ? input.keys.text : input.keys.tokens);
  if (reader.content_ < 0) return NoColumn(input, columns);
  LORY_RETURN_IF_ERROR(reader.SetContent(input));
  return reader;
}

absl::Status MdsSampleReader::SetContent(const CorpusInput& input) {
  const MdsColumn& column = columns_[content_];
  const auto wrong = [&](absl::string_view what) {
    return absl::InvalidArgumentError(absl::StrCat(
        "column ", column.name, " is ", column.encoding, ": ", what));
  };
  if (is_text_) {
    if (column.encoding == "str") return absl::OkStatus();
    return wrong("text_key must name one of str");
  }
  if (column.encoding == "bytes") {
    type_ = input.token_type;
    if (type_) return absl::OkStatus();
    return wrong(
        "inputs[].tokens_type must say of which type its tokens are, such as "
        "int64");
  }
  const std::vector<std::string> parts = absl::StrSplit(column.encoding, ':');
  if (parts[0] != kArray || parts.size() > 3) {
    return wrong("tokens are read from ndarray and bytes");
  }
  if (input.token_type) {
    return wrong("it says the type itself; leave inputs[].tokens_type out");
  }
  is_array_ = true;
  if (parts.size() > 1 && !(type_ = TokenTypeNamed(parts[1]))) {
    return wrong("token ids are whole numbers");
  }
  if (parts.size() < 3) return absl::OkStatus();
  has_shape_ = true;
  const int64_t each = BytesEach(*type_);
  int64_t length = 0;
  if (!absl::SimpleAtoi(parts[2], &length) || length < 1 ||
      column.size % each != 0 || column.size / each != length) {
    return wrong(absl::StrCat("a list of tokens in ", column.size,
                              " bytes has another shape"));
  }
  return absl::OkStatus();
}

absl::StatusOr<MdsDocument> MdsSampleReader::Read(
    absl::string_view sample) const {
  // First the sizes of all that say their own, then all values.
  absl::string_view sizes = sample;
  size_t variable = 0;
  for (const MdsColumn& column : columns_) variable += column.size == 0;
  absl::string_view rest = sample;
  if (sample.size() < 4 * variable) {
    return absl::InvalidArgumentError(absl::StrCat(
        sample.size(), " bytes are too few for its ", variable, " sizes"));
  }
  rest.remove_prefix(4 * variable);
  std::vector<absl::string_view> values;
  for (const MdsColumn& column : columns_) {
    uint64_t size = static_cast<uint64_t>(column.size);
    if (size == 0) {
      size = LoadNumber(sizes.substr(0, 4));
      sizes.remove_prefix(4);
    }
    if (size > rest.size()) {
      return BadValue(column.name,
                      absl::StrCat("should have ", size, " bytes, ",
                                   rest.size(), " are left of its sample"));
    }
    values.push_back(rest.substr(0, size));
    rest.remove_prefix(size);
  }
  if (!rest.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(rest.size(), " bytes are left over behind its columns"));
  }
  MdsDocument document;
  document.bytes = values[content_];
  if (!is_text_) {
    TokenType type = TokenType::kInt32;
    LORY_ASSIGN_OR_RETURN(document.bytes, TokensOf(values[content_], &type));
    document.type = type;
    if (!is_array_) {
      LORY_RETURN_IF_ERROR(
          CheckWidth(columns_[content_].name, document.bytes, type));
    }
  }
  if (id_ >= 0) {
    LORY_ASSIGN_OR_RETURN(document.name, WordsOf(columns_[id_], values[id_]));
  }
  if (domain_ >= 0 && !values[domain_].empty()) {
    LORY_ASSIGN_OR_RETURN(document.domain,
                          WordsOf(columns_[domain_], values[domain_]));
    LORY_RETURN_IF_ERROR(CheckDomain(columns_[domain_].name, document.domain));
  }
  return document;
}

absl::StatusOr<absl::string_view> MdsSampleReader::TokensOf(
    absl::string_view value, TokenType* type) const {
  const std::string& column = columns_[content_].name;
  std::optional<TokenType> found = type_;
  if (is_array_ && !found) {
    if (value.empty()) return BadValue(column, "is cut off before its type");
    const auto code = static_cast<uint8_t>(value.front());
    value.remove_prefix(1);
    found = TypeOfArrayCode(code);
    if (!found) {
      return BadValue(column, absl::StrCat("is of type ", code,
                                           ", which is no whole number"));
    }
  }
  *type = *found;
  if (!is_array_ || has_shape_) return value;
  LORY_ASSIGN_OR_RETURN(const uint64_t length, TakeShape(column, &value));
  const uint64_t each = static_cast<uint64_t>(BytesEach(*type));
  if (value.size() % each != 0 || value.size() / each != length) {
    return BadValue(
        column, absl::StrCat("should be ", length, " tokens of ", NameOf(*type),
                             ", ", value.size(), " bytes are there"));
  }
  return value;
}

}  // namespace lory::corpus
