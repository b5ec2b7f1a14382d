#include "common/config/proto_reader.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "common/config/field_names.h"

namespace lory::config {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::EnumDescriptor;
using ::google::protobuf::FieldDescriptor;
using ::google::protobuf::Message;
using ::google::protobuf::OneofDescriptor;
using ::google::protobuf::Reflection;

bool IsDuration(const FieldDescriptor& field) {
  return field.message_type() != nullptr &&
         field.message_type()->full_name() == "google.protobuf.Duration";
}

std::string EnumWord(const EnumDescriptor& type, int index) {
  return absl::AsciiStrToLower(type.value(index)->name());
}

// Reads one field; the state that every such function needs.
class FieldReader {
 public:
  FieldReader(const Source& source, Origins& origins, Problems& problems)
      : source_(source), origins_(origins), problems_(problems) {}

  void ReadMap(const YamlNode& node, const std::string& path,
               Message& message) {
    std::map<const void*, std::string> seen;  // field or oneof to its key
    for (const YamlEntry& entry : node.entries) {
      const FieldDescriptor* field =
          FieldOf(*message.GetDescriptor(), entry.key);
      if (field == nullptr) {
        UnknownKey(entry, path, *message.GetDescriptor());
        continue;
      }
      const std::string field_path = absl::StrCat(path, ".", field->name());
      const OneofDescriptor* oneof = field->real_containing_oneof();
      const void* identity = field;
      if (oneof != nullptr) identity = oneof;
      const auto [it, is_new] = seen.emplace(identity, entry.key);
      if (!is_new) {
        Fail(entry.line, field_path,
             absl::StrCat(entry.key, " and ", it->second,
                          oneof != nullptr ? " exclude each other"
                                           : " are the same key"));
        continue;
      }
      origins_.Set(field_path, source_.At(entry.line));
      ReadField(entry, field_path, *field, message);
    }
  }

 private:
  void Fail(int line, absl::string_view path, absl::string_view text) {
    problems_.Add(source_.At(line), path, text);
  }

  void UnknownKey(const YamlEntry& entry, const std::string& path,
                  const Descriptor& type) {
    const std::string suggestion = SuggestKey(type, entry.key);
    std::string text = "unknown key";
    if (!suggestion.empty()) {
      absl::StrAppend(&text, "; did you mean ", suggestion, "?");
    } else if (type.field_count() == 0) {
      absl::StrAppend(&text, "; it has no options");
    } else {
      absl::StrAppend(&text, "; known are ", absl::StrJoin(KeysOf(type), ", "));
    }
    Fail(entry.line, absl::StrCat(path, ".", entry.key), text);
  }

  void ReadField(const YamlEntry& entry, const std::string& path,
                 const FieldDescriptor& field, Message& message) {
    const YamlNode& value = entry.value;
    if (field.is_map()) return ReadLabels(value, path, field, message);
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE &&
        !IsDuration(field)) {
      return ReadSubmessage(entry, path, field, message);
    }
    if (value.kind == YamlNode::Kind::kNull) {
      return Fail(entry.line, path,
                  absl::StrCat("no value; write one, or leave ", entry.key,
                               " out for the default"));
    }
    if (value.kind != YamlNode::Kind::kScalar) {
      return Fail(value.line, path,
                  absl::StrCat(Describe(value), " where one value belongs"));
    }
    ReadScalar(value, path, field, message);
  }

  void ReadSubmessage(const YamlEntry& entry, const std::string& path,
                      const FieldDescriptor& field, Message& message) {
    const Reflection& reflection = *message.GetReflection();
    const bool may_be_empty = field.message_type()->field_count() == 0;
    const bool empty = entry.value.kind == YamlNode::Kind::kNull;
    if (entry.value.kind == YamlNode::Kind::kMap || (may_be_empty && empty)) {
      return ReadMap(entry.value, path,
                     *reflection.MutableMessage(&message, &field));
    }
    const Descriptor& type = *field.message_type();
    std::string text = absl::StrCat(Describe(entry.value), " where ", entry.key,
                                    " needs keys of its own");
    if (type.field_count() > 0) {
      absl::StrAppend(&text, ", such as {", KeyOf(*type.field(0)), ": ...}");
    }
    Fail(entry.line, path, text);
  }

  void ReadLabels(const YamlNode& value, const std::string& path,
                  const FieldDescriptor& field, Message& message) {
    if (value.kind != YamlNode::Kind::kMap) {
      return Fail(value.line, path,
                  absl::StrCat(Describe(value),
                               " where a map belongs, such as {key: value}"));
    }
    const Descriptor& type = *field.message_type();
    const Reflection& reflection = *message.GetReflection();
    for (const YamlEntry& entry : value.entries) {
      const std::string label = absl::StrCat(path, ".", entry.key);
      origins_.Set(label, source_.At(entry.line));
      if (entry.value.kind != YamlNode::Kind::kScalar) {
        Fail(entry.line, label,
             absl::StrCat(Describe(entry.value), " where a text belongs"));
        continue;
      }
      // A later source overrides: the old entry of the same key goes.
      Message* target = nullptr;
      for (int i = 0; i < reflection.FieldSize(message, &field); ++i) {
        Message* old = reflection.MutableRepeatedMessage(&message, &field, i);
        if (old->GetReflection()->GetString(*old, type.map_key()) ==
            entry.key) {
          target = old;
        }
      }
      if (target == nullptr) target = reflection.AddMessage(&message, &field);
      const Reflection& inner = *target->GetReflection();
      inner.SetString(target, type.map_key(), entry.key);
      inner.SetString(target, type.map_value(), entry.value.scalar);
    }
  }

  void ReadScalar(const YamlNode& value, const std::string& path,
                  const FieldDescriptor& field, Message& message) {
    const Reflection& reflection = *message.GetReflection();
    switch (field.cpp_type()) {
      case FieldDescriptor::CPPTYPE_STRING:
        return reflection.SetString(&message, &field, value.scalar);
      case FieldDescriptor::CPPTYPE_BOOL:
        return ReadBool(value, path, field, message);
      case FieldDescriptor::CPPTYPE_ENUM:
        return ReadEnum(value, path, field, message);
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return ReadDuration(value, path, field, message);
      case FieldDescriptor::CPPTYPE_DOUBLE:
      case FieldDescriptor::CPPTYPE_INT32:
      case FieldDescriptor::CPPTYPE_INT64:
        return ReadNumber(value, path, field, message);
      default:
        // The proto style allows no other types.
        return Fail(value.line, path, "cannot be set in a file");
    }
  }

  void ReadBool(const YamlNode& value, const std::string& path,
                const FieldDescriptor& field, Message& message) {
    if (value.quoted || (value.scalar != "true" && value.scalar != "false")) {
      return Fail(value.line, path,
                  absl::StrCat(Describe(value), " is not true or false"));
    }
    message.GetReflection()->SetBool(&message, &field, value.scalar == "true");
  }

  void ReadEnum(const YamlNode& value, const std::string& path,
                const FieldDescriptor& field, Message& message) {
    const EnumDescriptor& type = *field.enum_type();
    std::vector<std::string> words;
    for (int i = 0; i < type.value_count(); ++i) {
      if (type.value(i)->number() == 0) continue;
      words.push_back(EnumWord(type, i));
      if (words.back() != value.scalar) continue;
      message.GetReflection()->SetEnum(&message, &field, type.value(i));
      return;
    }
    Fail(value.line, path,
         absl::StrCat(Describe(value), " is not one of ",
                      absl::StrJoin(words, ", ")));
  }

  void ReadDuration(const YamlNode& value, const std::string& path,
                    const FieldDescriptor& field, Message& message) {
    absl::Duration duration;
    if (!absl::ParseDuration(value.scalar, &duration) ||
        duration == absl::InfiniteDuration()) {
      double number;
      const bool lacks_unit =
          absl::SimpleAtod(value.scalar, &number) && std::isfinite(number);
      return Fail(value.line, path,
                  absl::StrCat(Describe(value),
                               lacks_unit ? " lacks a unit: "
                                          : " is not a "
                                            "duration: ",
                               "write 30s, 5m or 1h30m"));
    }
    if (duration < absl::ZeroDuration()) {
      return Fail(value.line, path,
                  absl::StrCat(Describe(value), " is negative"));
    }
    google::protobuf::Duration proto;
    const int64_t seconds =
        absl::IDivDuration(duration, absl::Seconds(1), &duration);
    proto.set_seconds(seconds);
    proto.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
    message.GetReflection()->MutableMessage(&message, &field)->CopyFrom(proto);
  }

  void ReadNumber(const YamlNode& value, const std::string& path,
                  const FieldDescriptor& field, Message& message) {
    const bool real = field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
    const ZeroMeaning zero = ZeroMeaningOf(field);
    const bool is_none = zero == ZeroMeaning::kNone && value.scalar == "none";
    double number = 0;
    int64_t integer = 0;
    if (value.quoted) {
      return Fail(
          value.line, path,
          absl::StrCat(Describe(value), " is in quotes, a number is not"));
    }
    if (!is_none && real &&
        (!absl::SimpleAtod(value.scalar, &number) || !std::isfinite(number))) {
      return Fail(value.line, path,
                  absl::StrCat(Describe(value), " is not a number"));
    }
    if (!is_none && !real && !ReadInteger(value, path, integer)) return;
    if (is_none || (real ? number == 0 : integer == 0)) {
      if (zero == ZeroMeaning::kTaken) {
        return Fail(
            value.line, path,
            absl::StrCat("0 stands for the default; leave ", field.name(),
                         " out for that, or write another value"));
      }
      if (zero == ZeroMeaning::kNone) number = integer = -1;
    }
    StoreNumber(value, path, field, number, integer, message);
  }

  bool ReadInteger(const YamlNode& value, const std::string& path,
                   int64_t& integer) {
    if (absl::SimpleAtoi(value.scalar, &integer)) return true;
    double number;
    const bool is_whole =
        absl::SimpleAtod(value.scalar, &number) && std::floor(number) == number;
    Fail(value.line, path,
         absl::StrCat(Describe(value),
                      is_whole ? " must be written in digits and fit 64 bits"
                               : " is not a whole number"));
    return false;
  }

  void StoreNumber(const YamlNode& value, const std::string& path,
                   const FieldDescriptor& field, double number, int64_t integer,
                   Message& message) {
    const Reflection& reflection = *message.GetReflection();
    if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
      reflection.SetDouble(&message, &field, number);
    } else if (field.cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
      reflection.SetInt64(&message, &field, integer);
    } else if (integer == static_cast<int32_t>(integer)) {
      reflection.SetInt32(&message, &field, static_cast<int32_t>(integer));
    } else {
      Fail(value.line, path, absl::StrCat(Describe(value), " is too large"));
    }
  }

  const Source& source_;
  Origins& origins_;
  Problems& problems_;
};

}  // namespace

void ReadMessage(const YamlNode& node, const std::string& path,
                 const Source& source, Message& message, Origins& origins,
                 Problems& problems) {
  FieldReader(source, origins, problems).ReadMap(node, path, message);
}

}  // namespace lory::config
