#ifndef LORY_TOOLS_LORYCTL_TABLE_H_
#define LORY_TOOLS_LORYCTL_TABLE_H_

#include <ostream>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "tools/loryctl/environment.h"

namespace lory::ctl {

enum class Color { kPlain, kGood, kWarn, kBad, kFaint };

// `text` in `color` where the terminal shows colours.
std::string Colored(const Environment& environment, Color color,
                    absl::string_view text);

// Columns that `text` takes on a screen: characters, not bytes.
int DisplayWidth(absl::string_view text);

// `text` in one line, with single spaces for what lay between its words.
std::string OneLine(absl::string_view text);

// At most `width` columns of `text`; what is cut off ends in "...".
std::string Clipped(absl::string_view text, int width);

// One cell. Numbers are set flush right.
struct Cell {
  Cell(std::string text, Color color = Color::kPlain)  // NOLINT: cells convert
      : text(std::move(text)), color(color) {}
  Cell(const char* text) : text(text) {}  // NOLINT: cells convert
  std::string text;
  Color color = Color::kPlain;
};

// Rows in columns as wide as they must be, two spaces apart. On a terminal the
// last column is cut at the right edge, and has a line of its own where the
// others leave no room for it; elsewhere nothing is. A cell of several lines is
// shown in one.
class Table {
 public:
  // A title that starts with '>' sets its column flush right.
  explicit Table(std::vector<std::string> titles);

  void Add(std::vector<Cell> row);
  bool empty() const { return rows_.empty(); }

  void Print(const Environment& environment, int indent = 0) const;

 private:
  void PrintRow(const Environment& environment, int indent,
                const std::vector<int>& widths, bool breaks,
                const std::vector<Cell>& row) const;

  std::vector<Cell> titles_;
  std::vector<bool> flush_right_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace lory::ctl

#endif  // LORY_TOOLS_LORYCTL_TABLE_H_
