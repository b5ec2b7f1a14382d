#include "common/config/yaml_tree.h"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <optional>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status_macros.h"

namespace lory::config {
namespace {

absl::Status At(absl::string_view file_name, int line, absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat(file_name, ":", line, ": ", text));
}

// Bytes of the well-formed UTF-8 character at the front of `text`; 0: none.
size_t Utf8Length(absl::string_view text) {
  const auto byte = [&](size_t i) -> unsigned {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Over-long forms, surrogates and what lies beyond U+10FFFF.
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (lead == 0xed && byte(1) >= 0xa0) return 0;
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) >= 0x90) return 0;
  return length;
}

absl::Status CheckCharacters(absl::string_view text,
                             absl::string_view file_name) {
  int line = 1;
  bool indenting = true;
  while (!text.empty()) {
    const size_t length = Utf8Length(text);
    if (length == 0) {
      return At(file_name, line,
                "not UTF-8: is this a text file, saved as UTF-8?");
    }
    const char c = text.front();
    if (c == '\t' && indenting) {
      return At(file_name, line, "a tab in the indentation: use spaces");
    }
    const bool is_control = length == 1 && static_cast<unsigned char>(c) < 0x20;
    if (is_control && c != '\t' && c != '\n' && c != '\r') {
      return At(file_name, line, "a control character: is this a text file?");
    }
    indenting = c == '\n' || (indenting && c == ' ');
    line += c == '\n';
    text.remove_prefix(length);
  }
  return absl::OkStatus();
}

// Builds the tree from the parser's events. It cannot stop the parser without
// an exception, so it keeps the first problem and lets the rest pass.
class TreeBuilder final : public YAML::EventHandler {
 public:
  explicit TreeBuilder(absl::string_view file_name) : file_name_(file_name) {}

  const absl::Status& status() const { return status_; }
  YamlNode TakeRoot() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    CheckAnchor(mark, anchor);
    Add({.kind = YamlNode::Kind::kNull, .line = LineOf(mark)});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(mark, "aliases (*name) are not supported: write the value out");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag,
                YAML::anchor_t anchor, const std::string& value) override {
    CheckAnchor(mark, anchor);
    CheckTag(mark, tag);
    Add({.kind = YamlNode::Kind::kScalar,
         .line = LineOf(mark),
         .quoted = tag == "!",
         .scalar = value});
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag,
                       YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kList);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag,
                  YAML::anchor_t anchor, YAML::EmitterStyle::value) override {
    Open(mark, tag, anchor, YamlNode::Kind::kMap);
  }
  void OnMapEnd() override { Close(); }

 private:
  // A collection whose end has not come yet.
  struct Level {
    YamlNode node;
    std::optional<YamlEntry> entry;  // kMap: the key that waits for its value
  };

  static int LineOf(const YAML::Mark& mark) { return mark.line + 1; }

  void Fail(const YAML::Mark& mark, absl::string_view text) {
    if (status_.ok()) status_ = At(file_name_, LineOf(mark), text);
  }
  void CheckAnchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) Fail(mark, "anchors (&name) are not supported");
  }
  void CheckTag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") {
      Fail(mark, absl::StrCat("tags (", tag, ") are not supported"));
    }
  }

  void Open(const YAML::Mark& mark, const std::string& tag,
            YAML::anchor_t anchor, YamlNode::Kind kind) {
    CheckAnchor(mark, anchor);
    CheckTag(mark, tag);
    if (levels_.size() >= kMaxYamlDepth) {
      Fail(mark, absl::StrCat("more than ", kMaxYamlDepth, " levels deep"));
    }
    levels_.push_back({.node = {.kind = kind, .line = LineOf(mark)}});
  }

  void Close() {
    YamlNode node = std::move(levels_.back().node);
    levels_.pop_back();
    Add(std::move(node));
  }

  void Add(YamlNode node) {
    if (!status_.ok()) return;
    if (levels_.empty()) {
      root_ = std::move(node);
      return;
    }
    Level& level = levels_.back();
    if (level.node.kind == YamlNode::Kind::kList) {
      level.node.items.push_back(std::move(node));
    } else if (level.entry) {
      level.entry->value = std::move(node);
      level.node.entries.push_back(*std::move(level.entry));
      level.entry.reset();
    } else {
      AddKey(level, std::move(node));
    }
  }

  void AddKey(Level& level, YamlNode key) {
    if (key.kind != YamlNode::Kind::kScalar) {
      status_ = At(file_name_, key.line, "a key must be a word");
      return;
    }
    for (const YamlEntry& earlier : level.node.entries) {
      if (earlier.key == key.scalar) {
        status_ = At(file_name_, key.line,
                     absl::StrCat(key.scalar, ": given twice, first in line ",
                                  earlier.line));
        return;
      }
    }
    level.entry = YamlEntry{.key = std::move(key.scalar), .line = key.line};
  }

  const std::string file_name_;
  absl::Status status_;
  YamlNode root_;
  std::vector<Level> levels_;
};

// The only place that meets yaml-cpp's exceptions.
absl::Status Parse(absl::string_view text, absl::string_view file_name,
                   TreeBuilder& builder) {
  std::istringstream stream{std::string(text)};
  try {
    YAML::Parser parser(stream);
    if (!parser.HandleNextDocument(builder)) {
      return At(file_name, 1, "the file is empty");
    }
    LORY_RETURN_IF_ERROR(builder.status());
    TreeBuilder rest(file_name);
    if (parser.HandleNextDocument(rest)) {
      return absl::InvalidArgumentError(absl::StrCat(
          file_name, ": more than one document (---) in one file"));
    }
  } catch (const YAML::Exception& error) {
    if (!builder.status().ok()) return builder.status();
    return At(file_name, std::max(0, error.mark.line) + 1,
              absl::StrCat("not YAML: ", error.msg));
  }
  return absl::OkStatus();
}

}  // namespace

std::string Describe(const YamlNode& node) {
  switch (node.kind) {
    case YamlNode::Kind::kNull:
      return "nothing";
    case YamlNode::Kind::kList:
      return "a list";
    case YamlNode::Kind::kMap:
      return "a map";
    case YamlNode::Kind::kScalar:
      break;
  }
  constexpr size_t kShown = 40;
  if (node.scalar.size() <= kShown) return absl::StrCat("'", node.scalar, "'");
  return absl::StrCat("'", node.scalar.substr(0, kShown), "...'");
}

absl::StatusOr<YamlNode> ParseYaml(absl::string_view text,
                                   absl::string_view file_name) {
  if (text.size() > kMaxYamlBytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        file_name, ": ", text.size(), " bytes are too many (at most ",
        kMaxYamlBytes, "): is this the right file?"));
  }
  LORY_RETURN_IF_ERROR(CheckCharacters(text, file_name));
  TreeBuilder builder(file_name);
  LORY_RETURN_IF_ERROR(Parse(text, file_name, builder));
  YamlNode root = builder.TakeRoot();
  if (root.kind == YamlNode::Kind::kNull) {
    return At(file_name, 1, "the file is empty");
  }
  return root;
}

}  // namespace lory::config
