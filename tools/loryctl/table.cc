#include "tools/loryctl/table.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/check.h"

namespace lory::ctl {
namespace {

constexpr int kGap = 2;
// With less room than this a last column would say nothing.
constexpr int kLeastOfLast = 10;
// How far the last column is set in where it has a line of its own.
constexpr int kIndentOfLast = 4;

absl::string_view CodeOf(Color color) {
  switch (color) {
    case Color::kGood:
      return "32";
    case Color::kWarn:
      return "33";
    case Color::kBad:
      return "31";
    case Color::kFaint:
      return "2";
    case Color::kPlain:
      break;
  }
  return "";
}

bool IsContinuation(char c) { return (c & 0xc0) == 0x80; }

}  // namespace

std::string Colored(const Environment& environment, Color color,
                    absl::string_view text) {
  if (color == Color::kPlain || !environment.color()) return std::string(text);
  return absl::StrCat("\x1b[", CodeOf(color), "m", text, "\x1b[0m");
}

int DisplayWidth(absl::string_view text) {
  return static_cast<int>(std::count_if(
      text.begin(), text.end(), [](char c) { return !IsContinuation(c); }));
}

std::string OneLine(absl::string_view text) {
  return absl::StrJoin(
      absl::StrSplit(text, absl::ByAnyChar(" \t\r\n"), absl::SkipEmpty()), " ");
}

std::string Clipped(absl::string_view text, int width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  const int kept = std::max(0, width - 3);
  int seen = 0;
  size_t end = 0;
  for (; end < text.size(); ++end) {
    if (!IsContinuation(text[end]) && seen++ == kept) break;
  }
  return absl::StrCat(text.substr(0, end), "...");
}

Table::Table(std::vector<std::string> titles) {
  for (std::string& title : titles) {
    const bool right = !title.empty() && title.front() == '>';
    flush_right_.push_back(right);
    titles_.emplace_back(right ? title.substr(1) : std::move(title),
                         Color::kFaint);
  }
}

void Table::Add(std::vector<Cell> row) {
  LORY_CHECK(row.size() == titles_.size());
  for (Cell& cell : row) {
    // Elsewhere spaces may draw something.
    if (absl::StrContains(cell.text, '\n')) cell.text = OneLine(cell.text);
  }
  rows_.push_back(std::move(row));
}

void Table::Print(const Environment& environment, int indent) const {
  std::vector<int> widths(titles_.size());
  const auto measure = [&](const std::vector<Cell>& row) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(row[i].text));
    }
  };
  measure(titles_);
  for (const auto& row : rows_) measure(row);
  int used = indent;
  for (size_t i = 0; i + 1 < widths.size(); ++i) used += widths[i] + kGap;
  const bool breaks =
      environment.out_is_terminal && widths.size() > 1 &&
      environment.columns - used < std::min(kLeastOfLast, widths.back());
  PrintRow(environment, indent, widths, breaks, titles_);
  for (const auto& row : rows_) {
    PrintRow(environment, indent, widths, breaks, row);
  }
}

void Table::PrintRow(const Environment& environment, int indent,
                     const std::vector<int>& widths, bool breaks,
                     const std::vector<Cell>& row) const {
  std::string line(indent, ' ');
  int used = indent;
  const size_t count = breaks ? row.size() - 1 : row.size();
  for (size_t i = 0; i < count; ++i) {
    std::string text = row[i].text;
    const bool is_last = i + 1 == row.size();
    if (is_last && environment.out_is_terminal) {
      text = Clipped(text, environment.columns - used);
    }
    const int padding = std::max(0, widths[i] - DisplayWidth(text));
    if (flush_right_[i]) line.append(padding, ' ');
    line += Colored(environment, row[i].color, text);
    if (is_last) break;
    if (!flush_right_[i]) line.append(padding, ' ');
    line.append(kGap, ' ');
    used += widths[i] + kGap;
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  environment.out << line << "\n";
  if (!breaks || &row == &titles_ || row.back().text.empty()) return;
  const int margin = indent + kIndentOfLast;
  environment.out << std::string(margin, ' ')
                  << Colored(
                         environment, row.back().color,
                         Clipped(row.back().text, environment.columns - margin))
                  << "\n";
}

}  // namespace lory::ctl
