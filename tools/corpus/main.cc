#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>

#include "CLI/CLI.hpp"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/status_macros.h"
#include "common/io/absolute_path.h"
#include "tools/corpus/build.h"
#include "tools/corpus/compare.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/inspect.h"
#include "tools/corpus/map.h"
#include "tools/corpus/progress.h"
#include "tools/corpus/stats.h"
#include "tools/corpus/verify.h"

namespace lory::corpus {
namespace {

constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

constexpr char kFooter[] = R"(
examples:
  tools/demo_corpus --out demo.jsonl
  lory-corpus build tools/corpus/example/corpus.yaml
  lory-corpus build corpus.yaml --order random --output ablation
  lory-corpus inspect demo-dataset
  lory-corpus inspect demo-dataset --sequence 17
  lory-corpus stats demo-dataset
  lory-corpus compare demo-dataset ablation
  lory-corpus map demo-dataset --output map.svg
  lory-corpus verify demo-dataset

A build that was stopped, or whose spec changed, goes on where it must and
skips the stages that are up to date. Data goes to standard output, words to
standard error.

exit codes: 0 done, 1 failed, 2 wrong usage or a mistake in the spec
)";

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "lory-corpus: %s\n",
               std::string(status.message()).c_str());
  return absl::IsInvalidArgument(status) || absl::IsOutOfRange(status)
             ? kWrongUsage
             : kFailed;
}

int Print(const absl::StatusOr<std::string>& text) {
  if (text.ok()) std::fputs(text->c_str(), stdout);
  return ExitCodeOf(text.status());
}

// What the command line can change in a spec.
struct BuildFlags {
  std::string spec_path;
  std::optional<std::string> output;
  std::optional<std::string> order;
  std::optional<int64_t> max_errors;
  std::string redo;
};

int RunBuild(const BuildFlags& flags, Progress& progress) {
  absl::StatusOr<CorpusSpec> spec = ReadCorpusSpec(flags.spec_path);
  if (!spec.ok()) return ExitCodeOf(spec.status());
  if (flags.output) {
    absl::StatusOr<std::string> output = io::AbsolutePath(*flags.output);
    if (!output.ok()) {
      return ExitCodeOf(Annotate(output.status(), "--output"));
    }
    spec->output = *std::move(output);
  }
  if (flags.max_errors) spec->max_errors = *flags.max_errors;
  if (flags.order) spec->order = *OrderNamed(*flags.order);
  return Print(BuildDataset(*spec, {.redo = flags.redo}, progress));
}

CLI::App* AddBuild(CLI::App& app, BuildFlags* flags) {
  CLI::App* build = app.add_subcommand("build", "Build a dataset from a spec");
  build->add_option("SPEC", flags->spec_path, "corpus.yaml")->required();
  build->add_option("--output", flags->output, "Folder, instead of the spec's");
  build->add_option("--order", flags->order, "Instead of the spec's")
      ->check(CLI::IsMember(OrderNames()));
  build
      ->add_option("--max-errors", flags->max_errors,
                   "Bad lines to bear, instead of the spec's")
      ->check(CLI::NonNegativeNumber);
  build
      ->add_option("--redo", flags->redo,
                   "Run this stage in any case: " + StageNames())
      ->check([](const std::string& name) {
        return IsStageName(name) ? "" : "stages are " + StageNames();
      });
  return build;
}

int Main(int argc, char** argv) {
  CLI::App app("Builds training data: documents to similarity-ordered shards.",
               "lory-corpus");
  app.footer(kFooter);
  app.set_version_flag("--version", "lory-corpus " LORY_VERSION);
  app.require_subcommand(1);

  BuildFlags flags;
  CLI::App* build = AddBuild(app, &flags);

  std::string path;
  std::optional<int64_t> sequence;
  CLI::App* inspect =
      app.add_subcommand("inspect", "Show what a dataset is made of");
  inspect->add_option("DATASET", path, "Its manifest or folder")->required();
  inspect->add_option("--sequence", sequence,
                      "Show the documents of this sequence");

  CLI::App* stats = app.add_subcommand(
      "stats", "What is in a dataset, what was dropped, how good the order is");
  stats->add_option("DATASET", path, "Its manifest or folder")->required();

  std::string other;
  CLI::App* compare = app.add_subcommand(
      "compare", "Two orders: similarity inside contexts and between them");
  compare->add_option("DATASET", path, "Manifest or folder")->required();
  compare->add_option("OTHER", other, "Manifest or folder")->required();

  MapOptions map_options;
  std::string map_file = "map.svg";
  CLI::App* map =
      app.add_subcommand("map", "Draw documents and their order as SVG");
  map->add_option("DATASET", path, "Its manifest or folder")->required();
  map->add_option("--output", map_file, "The file")->capture_default_str();
  map->add_option("--documents", map_options.documents, "Points at most")
      ->check(CLI::Range(1, 1'000'000))
      ->capture_default_str();
  map->add_option("--walk", map_options.walk,
                  "Documents whose order is drawn as a line")
      ->check(CLI::Range(0, 1'000'000))
      ->capture_default_str();

  CLI::App* verify =
      app.add_subcommand("verify", "Check every byte of a dataset");
  verify->add_option("DATASET", path, "Its manifest or folder")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kWrongUsage;
  }
  Progress progress(RealClock(), stderr, ::isatty(STDERR_FILENO) == 1);
  if (*build) return RunBuild(flags, progress);
  if (*stats) return Print(DatasetStats(path));
  if (*compare) return Print(CompareDatasets(path, other));
  if (*map) return Print(MapDataset(path, map_options, map_file));
  if (*inspect) return Print(InspectDataset(path, sequence));
  return Print(VerifyDataset(path, progress));
}

}  // namespace
}  // namespace lory::corpus

int main(int argc, char** argv) { return lory::corpus::Main(argc, argv); }
