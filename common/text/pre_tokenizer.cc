#include "common/text/pre_tokenizer.h"

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace lory::text {
namespace {

struct Piece {
  absl::string_view text;
  bool is_match = false;
};

// The matches and what is between them.
void ForEachPiece(const PreTokenizer::Split& split, absl::string_view text,
                  absl::FunctionRef<void(Piece)> found) {
  size_t end = 0;
  const auto found_between = [&](size_t begin) {
    if (begin > end) found({text.substr(end, begin - end), split.invert});
  };
  split.pattern.ForEachMatch(text, [&](size_t begin, size_t match_end) {
    found_between(begin);
    found({text.substr(begin, match_end - begin), !split.invert});
    end = match_end;
  });
  found_between(text.size());
}

// Both together; `right` begins where `left` ends.
absl::string_view Joined(absl::string_view left, absl::string_view right) {
  return {left.data(), left.size() + right.size()};
}

// Of several matches side by side the one that stands next to the rest of the
// text goes with it, the others alone.
void Merge(SplitBehavior behavior, std::vector<Piece>* pieces) {
  const bool backwards = behavior == SplitBehavior::kMergedWithNext;
  if (backwards) std::reverse(pieces->begin(), pieces->end());
  std::vector<Piece> merged;
  bool after_match = false;
  for (const Piece& piece : *pieces) {
    const bool joins = behavior == SplitBehavior::kContiguous
                           ? piece.is_match == after_match
                           : piece.is_match && !after_match;
    if (joins && !merged.empty()) {
      absl::string_view& last = merged.back().text;
      last = backwards ? Joined(piece.text, last) : Joined(last, piece.text);
    } else {
      merged.push_back(piece);
    }
    after_match = piece.is_match;
  }
  if (backwards) std::reverse(merged.begin(), merged.end());
  *pieces = std::move(merged);
}

void SplitText(const PreTokenizer::Split& split, absl::string_view text,
               PreTokenizer::Found found) {
  switch (split.behavior) {
    case SplitBehavior::kIsolated:
      return ForEachPiece(split, text, [&](Piece piece) { found(piece.text); });
    case SplitBehavior::kRemoved:
      return ForEachPiece(split, text, [&](Piece piece) {
        if (!piece.is_match) found(piece.text);
      });
    default:
      break;
  }
  std::vector<Piece> pieces;
  ForEachPiece(split, text, [&](Piece piece) { pieces.push_back(piece); });
  Merge(split.behavior, &pieces);
  for (const Piece& piece : pieces) found(piece.text);
}

std::string WithMarks(const PreTokenizer::SpaceMarks& marks,
                      absl::string_view text, Before before) {
  using Prepend = PreTokenizer::SpaceMarks::Prepend;
  std::string marked = absl::StrReplaceAll(text, {{" ", kSpaceMark}});
  const bool wanted =
      (marks.prepend == Prepend::kAlways && before != Before::kBytes) ||
      (marks.prepend == Prepend::kFirst && before == Before::kNothing);
  if (wanted && !absl::StartsWith(marked, kSpaceMark)) {
    marked.insert(0, kSpaceMark);
  }
  return marked;
}

// Every mark begins a piece.
void SplitAtMarks(absl::string_view text, PreTokenizer::Found found) {
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t next = std::min(text.find(kSpaceMark, begin + 1), text.size());
    found(text.substr(begin, next - begin));
    begin = next;
  }
}

// Does steps from `step` on. Of the pieces that one leaves, the first has
// before it what the whole has.
void DoSteps(const PreTokenizer& pre, size_t step, absl::string_view text,
             Before before, PreTokenizer::Found found) {
  if (text.empty()) return;
  if (step == pre.steps.size()) return found(text);
  const auto next = [&](absl::string_view piece) {
    DoSteps(pre, step + 1, piece, before, found);
    before = Before::kToken;
  };
  const auto& todo = pre.steps[step];
  if (const auto* split = std::get_if<PreTokenizer::Split>(&todo)) {
    SplitText(*split, text, next);
  } else if (const auto* marks = std::get_if<PreTokenizer::SpaceMarks>(&todo)) {
    const std::string marked = WithMarks(*marks, text, before);
    if (marks->split) {
      SplitAtMarks(marked, next);
    } else {
      next(marked);
    }
  } else if (text.front() == ' ' || before == Before::kBytes) {
    next(text);
  } else {
    next(absl::StrCat(" ", text));
  }
}

}  // namespace

void PreTokenizer::ForEachWord(absl::string_view text, Before before,
                               Found found) const {
  DoSteps(*this, 0, text, before, found);
}

}  // namespace lory::text
