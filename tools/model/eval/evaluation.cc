#include "tools/model/eval/evaluation.h"

#include <utility>

namespace lory::eval {

std::vector<TextTotal> TotalsOf(const Evaluation& evaluation) {
  TextTotal trained{.name = "all domains"};
  TextTotal kept_out{.name = "kept-out domains"};
  TextTotal files{.name = "all files"};
  int64_t file_count = 0;
  for (const TextRow& row : evaluation.texts) {
    TextTotal& total =
        row.is_file ? files : (row.kept_out ? kept_out : trained);
    total.all.Add(row.figures.all);
    total.rest.Add(row.figures.rest);
    if (row.is_file) ++file_count;
  }
  std::vector<TextTotal> totals;
  for (TextTotal* total : {&trained, &kept_out}) {
    if (total->all.token_count() > 0) totals.push_back(std::move(*total));
  }
  if (file_count > 1) totals.push_back(std::move(files));
  return totals;
}

}  // namespace lory::eval
