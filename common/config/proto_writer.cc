#include "common/config/proto_writer.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include <charconv>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/config/field_names.h"

namespace lory::config {
namespace {

using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::Reflection;

// Index of a field that is not repeated.
constexpr int kSingle = -1;

class YamlWriter {
 public:
  explicit YamlWriter(YamlDialect dialect) : dialect_(dialect) {}

  std::string Take() { return std::move(out_); }

  void WriteMessage(const Message& message, int indent) {
    for (const FieldDescriptor* field : FieldsOf(message)) {
      out_.append(indent, ' ');
      absl::StrAppend(
          &out_,
          dialect_ == YamlDialect::kJobFile ? KeyOf(*field) : field->name(),
          ":");
      WriteField(message, *field, indent);
    }
  }

 private:
  // What is written, in the order of the .proto file. A resource shows zeros
  // too: rank 0 is a rank, and programs need not know what may be left out.
  std::vector<const FieldDescriptor*> FieldsOf(const Message& message) const {
    const Reflection& reflection = *message.GetReflection();
    const google::protobuf::Descriptor& type = *message.GetDescriptor();
    std::vector<const FieldDescriptor*> fields;
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor* field = type.field(i);
      const bool is_set = field->is_repeated()
                              ? reflection.FieldSize(message, field) > 0
                              : reflection.HasField(message, field);
      const bool is_plain = !field->is_repeated() && !field->has_presence();
      if (is_set || (is_plain && dialect_ == YamlDialect::kResource)) {
        fields.push_back(field);
      }
    }
    return fields;
  }

  void WriteField(const Message& message, const FieldDescriptor& field,
                  int indent) {
    if (field.is_map()) return WriteLabels(message, field, indent + 2);
    if (field.is_repeated()) return WriteList(message, field, indent);
    if (IsBlock(field)) {
      const Message& inner =
          message.GetReflection()->GetMessage(message, &field);
      return WriteInner(inner, indent + 2);
    }
    absl::StrAppend(&out_, " ", Scalar(message, field, kSingle), "\n");
  }

  void WriteInner(const Message& inner, int indent) {
    out_ += FieldsOf(inner).empty() ? " {}\n" : "\n";
    WriteMessage(inner, indent);
  }

  void WriteList(const Message& message, const FieldDescriptor& field,
                 int indent) {
    const Reflection& reflection = *message.GetReflection();
    const int count = reflection.FieldSize(message, &field);
    if (!IsBlock(field)) {
      std::vector<std::string> items;
      for (int i = 0; i < count; ++i) {
        items.push_back(Scalar(message, field, i));
      }
      absl::StrAppend(&out_, " [", absl::StrJoin(items, ", "), "]\n");
      return;
    }
    out_ += "\n";
    for (int i = 0; i < count; ++i) {
      // Written indented, then the first line's indentation becomes "- ".
      const size_t start = out_.size();
      WriteMessage(reflection.GetRepeatedMessage(message, &field, i),
                   indent + 2);
      if (out_.size() == start) {
        out_.append(indent, ' ');
        out_ += "- {}\n";
      } else {
        out_[start + indent] = '-';
      }
    }
  }

  void WriteLabels(const Message& message, const FieldDescriptor& field,
                   int indent) {
    const Reflection& reflection = *message.GetReflection();
    std::map<std::string, std::string> sorted;
    for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
      const Message& entry = reflection.GetRepeatedMessage(message, &field, i);
      const auto& type = *field.message_type();
      sorted[Scalar(entry, *type.map_key(), kSingle)] =
          Scalar(entry, *type.map_value(), kSingle);
    }
    out_ += "\n";
    for (const auto& [key, value] : sorted) {
      out_.append(indent, ' ');
      absl::StrAppend(&out_, key, ": ", value, "\n");
    }
  }

  static bool Is(const FieldDescriptor& field, absl::string_view type) {
    return field.message_type()->full_name() == type;
  }
  static bool IsBlock(const FieldDescriptor& field) {
    return field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
           !Is(field, "google.protobuf.Duration") &&
           !Is(field, "google.protobuf.Timestamp");
  }

  std::string Scalar(const Message& message, const FieldDescriptor& field,
                     int index) const {
    const Reflection& r = *message.GetReflection();
    const bool single = index == kSingle;
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_BOOL:
        return (single ? r.GetBool(message, &field)
                       : r.GetRepeatedBool(message, &field, index))
                   ? "true"
                   : "false";
      case FieldDescriptor::CPPTYPE_INT32:
        return absl::StrCat(single
                                ? r.GetInt32(message, &field)
                                : r.GetRepeatedInt32(message, &field, index));
      case FieldDescriptor::CPPTYPE_INT64:
        return absl::StrCat(single
                                ? r.GetInt64(message, &field)
                                : r.GetRepeatedInt64(message, &field, index));
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return Number(field, single
                                 ? r.GetDouble(message, &field)
                                 : r.GetRepeatedDouble(message, &field, index));
      case FieldDescriptor::CPPTYPE_ENUM: {
        const std::string& name =
            (single ? r.GetEnum(message, &field)
                    : r.GetRepeatedEnum(message, &field, index))
                ->name();
        return dialect_ == YamlDialect::kJobFile ? absl::AsciiStrToLower(name)
                                                 : name;
      }
      case FieldDescriptor::CPPTYPE_STRING: {
        const std::string text =
            single ? r.GetString(message, &field)
                   : r.GetRepeatedString(message, &field, index);
        const bool is_bytes = field.type() == FieldDescriptor::TYPE_BYTES;
        return YamlScalar(is_bytes ? absl::BytesToHexString(text) : text);
      }
      default:
        return Time(r.GetMessage(message, &field));
    }
  }

  std::string Number(const FieldDescriptor& field, double number) const {
    const bool is_none = dialect_ == YamlDialect::kJobFile && number < 0 &&
                         ZeroMeaningOf(field) == ZeroMeaning::kNone;
    return is_none ? "none" : ShortestNumber(number);
  }

  static std::string Time(const Message& message) {
    if (const auto* duration =
            dynamic_cast<const google::protobuf::Duration*>(&message)) {
      return absl::FormatDuration(absl::Seconds(duration->seconds()) +
                                  absl::Nanoseconds(duration->nanos()));
    }
    const auto* time =
        dynamic_cast<const google::protobuf::Timestamp*>(&message);
    if (time == nullptr) return "null";  // IsBlock lets nothing else through
    return YamlScalar(absl::FormatTime(absl::RFC3339_full,
                                       absl::FromUnixSeconds(time->seconds()) +
                                           absl::Nanoseconds(time->nanos()),
                                       absl::UTCTimeZone()));
  }

  const YamlDialect dialect_;
  std::string out_;
};

bool IsPlain(absl::string_view text) {
  // A subset of YAML's plain scalars that is easy to be sure of.
  if (text.empty()) return false;
  if (!absl::ascii_isalpha(text.front()) && text.front() != '/') return false;
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains("_-./", c)) return false;
  }
  const std::string lower = absl::AsciiStrToLower(text);
  for (const absl::string_view word :
       {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan",
        "inf", "infinity", "none"}) {
    if (lower == word) return false;
  }
  return true;
}

}  // namespace

std::string YamlOf(const Message& message, YamlDialect dialect, int indent) {
  YamlWriter writer(dialect);
  writer.WriteMessage(message, indent);
  return writer.Take();
}

std::string YamlScalar(absl::string_view text) {
  if (IsPlain(text)) return std::string(text);
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (c == '\n') {
      quoted += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      absl::StrAppendFormat(&quoted, "\\x%02x", c);
    } else {
      quoted += c;
    }
  }
  quoted += '"';
  return quoted;
}

std::string ShortestNumber(double number) {
  // Six digits are enough for what people write, and read better: 0.0009, not
  // 9e-04.
  std::string text = absl::StrCat(number);
  double again = 0;
  if (absl::SimpleAtod(text, &again) && again == number) return text;
  char buffer[32];
  const auto result = std::to_chars(buffer, buffer + sizeof buffer, number);
  return std::string(buffer, result.ptr);
}

}  // namespace lory::config
