#include "tools/model/merge_command.h"

#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/clock.h"
#include "common/base/progress.h"
#include "common/base/status_macros.h"
#include "common/flags/value_checks.h"
#include "tools/model/checkpoint_folder.h"
#include "tools/model/output_folder.h"
#include "tools/model/parents.h"
#include "tools/model/save_model.h"
#include "tools/model/scale_search.h"
#include "tools/model/task_arithmetic.h"

namespace lory::surgery {
namespace {

// What is added to the base, before it is scaled.
struct Sum {
  std::unique_ptr<TaskArithmetic> change;
  Parents parents;
  std::string terms;  // "base + a - b", for people
  int64_t nonfinite = 0;
};

absl::Status CheckFlags(const MergeFlags& flags) {
  if (flags.add.empty() && flags.subtract.empty()) {
    return absl::InvalidArgumentError(
        "nothing to merge: give --add or --subtract");
  }
  if (flags.scale && !std::isfinite(*flags.scale)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--scale is ", *flags.scale, ", not a finite number"));
  }
  if (flags.tolerance && !(*flags.tolerance >= 0)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--tolerance is ", *flags.tolerance, ", not 0 nats or more"));
  }
  if (!flags.search.empty()) {
    LORY_RETURN_IF_ERROR(ParseScales(flags.search).status());
  }
  if (flags.search.empty() == flags.data.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "--search LOW:HIGH:STEP and --data DATASET go together");
}

absl::StatusOr<Sum> AddUp(const LoadedCheckpoint& base,
                          const MergeFlags& flags) {
  Sum sum;
  LORY_ASSIGN_OR_RETURN(sum.change, TaskArithmetic::Start(*base.model));
  LORY_ASSIGN_OR_RETURN(sum.nonfinite, NonfiniteCount(*base.model));
  LORY_RETURN_IF_ERROR(sum.parents.Add(base));
  std::vector<std::string> terms = {OriginName(base.manifest)};
  for (const auto& [paths, sign] :
       {std::pair(&flags.add, 1.0), std::pair(&flags.subtract, -1.0)}) {
    const double share =
        flags.average ? sign / static_cast<double>(paths->size()) : sign;
    for (const std::string& path : *paths) {
      LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint tuned, LoadCheckpoint(path));
      LORY_RETURN_IF_ERROR(sum.parents.Add(tuned));
      LORY_ASSIGN_OR_RETURN(const int64_t count, NonfiniteCount(*tuned.model));
      sum.nonfinite += count;
      const absl::Status added = sum.change->Add(*tuned.model, share);
      if (!added.ok()) return Annotate(added, path);
      terms.push_back(
          absl::StrCat(sign > 0 ? "+ " : "- ", OriginName(tuned.manifest)));
    }
  }
  sum.terms = absl::StrCat(absl::StrJoin(terms, " "),
                           flags.average ? ", averaged" : "");
  return sum;
}

absl::StatusOr<ScaleChoice> Search(const LoadedCheckpoint& base, const Sum& sum,
                                   const ScaleSearch& search) {
  Progress progress(RealClock(), stderr, ::isatty(STDERR_FILENO) == 1);
  return SearchScale(*base.model, *sum.change, search, progress);
}

}  // namespace

absl::StatusOr<std::string> RunMerge(const MergeFlags& flags) {
  LORY_RETURN_IF_ERROR(CheckFlags(flags));
  LORY_RETURN_IF_ERROR(CheckOutsideOf(flags.base, flags.to));
  for (const auto* paths : {&flags.add, &flags.subtract}) {
    for (const std::string& path : *paths) {
      LORY_RETURN_IF_ERROR(CheckOutsideOf(path, flags.to));
    }
  }
  LORY_RETURN_IF_ERROR(CheckCheckpointTarget(flags.to, flags.force));
  ScaleSearch search{.data = flags.data,
                     .domains = flags.domains,
                     .sequences = flags.sequences,
                     .tolerance = flags.tolerance};
  if (!flags.search.empty()) {
    LORY_ASSIGN_OR_RETURN(search.scales, ParseScales(flags.search));
  }
  LORY_ASSIGN_OR_RETURN(const LoadedCheckpoint base,
                        LoadCheckpoint(flags.base));
  LORY_ASSIGN_OR_RETURN(const Sum sum, AddUp(base, flags));
  double scale = flags.scale.value_or(1);
  std::string said;
  if (!flags.search.empty()) {
    search.tokenizer_sha256 = sum.parents.tokenizer_sha256();
    LORY_ASSIGN_OR_RETURN(const ScaleChoice choice, Search(base, sum, search));
    scale = choice.scale;
    said = ToText(choice);
  }
  LORY_ASSIGN_OR_RETURN(const auto merged, sum.change->Finish(scale));
  LORY_RETURN_IF_ERROR(CheckFinite(*merged, sum.nonfinite, "--scale"));
  LORY_ASSIGN_OR_RETURN(
      const std::string saved,
      SaveModel(*merged, {.verb = "merge",
                          .note = absl::StrCat("merge of ", sum.terms,
                                               ", scale ", scale),
                          .tokenizer_sha256 = sum.parents.tokenizer_sha256(),
                          .notes = NotesOf(base.manifest.spec),
                          .to = flags.to,
                          .force = flags.force}));
  return said + saved;
}

void AddMergeOptions(CLI::App& command, MergeFlags& flags) {
  command.add_option("--base", flags.base, "What the others were made from")
      ->required();
  command.add_option("--add", flags.add, "Checkpoints tuned to what to learn");
  command.add_option("--subtract", flags.subtract,
                     "Checkpoints tuned to what to forget");
  command.add_flag("--average", flags.average,
                   "The mean of those added, and of those subtracted, in place "
                   "of their sum");
  CLI::Option* scale =
      command
          .add_option("--scale", flags.scale,
                      "Of every difference to the base (default: 1)")
          ->check(CLI::Number);
  CLI::Option_group* group = command.add_option_group("Scale by search");
  CLI::Option* search =
      group
          ->add_option("--search", flags.search,
                       "LOW:HIGH:STEP: the scale of the lowest held-out loss")
          ->excludes(scale);
  group->add_option("--data", flags.data,
                    "Dataset on whose held-out text to search");
  group
      ->add_option("--domains", flags.domains,
                   "Of its domains (default: all that were trained)")
      ->needs(search);
  group
      ->add_option("--sequences", flags.sequences,
                   "Of each domain at most (0: all)")
      ->check(lory::flags::FromZero())
      ->needs(search);
  group
      ->add_option("--tolerance", flags.tolerance,
                   "Take the largest scale that raises the loss by at most so "
                   "many nats: what is forgotten must not harm these domains")
      ->needs(search);
  command.add_option("--to", flags.to, "Folder of the new checkpoint")
      ->required();
  command.add_flag("--force", flags.force, "Replace an earlier output");
}

}  // namespace lory::surgery
