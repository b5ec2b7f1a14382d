#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <iostream>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/clock.h"
#include "common/base/progress.h"
#include "common/base/status_macros.h"
#include "common/base/stop_signals.h"
#include "common/flags/command_line.h"
#include "common/io/absolute_path.h"
#include "common/io/standard_output.h"
#include "common/text/tokenizer_file.h"
#include "tools/corpus/build.h"
#include "tools/corpus/compare.h"
#include "tools/corpus/corpus_spec.h"
#include "tools/corpus/inspect.h"
#include "tools/corpus/map.h"
#include "tools/corpus/stats.h"
#include "tools/corpus/token_lines.h"
#include "tools/corpus/tokenize.h"
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
  lory-corpus tokenize --tokenizer demo-dataset < some.txt

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
  return ExitCodeOf(text.ok() ? io::WriteStandardOutput(*text) : text.status());
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

flags::Command AddBuild(flags::CommandLine& line, BuildFlags& flags) {
  auto build = line.AddCommand("build", "Build a dataset from a spec");
  build.Add("SPEC", flags.spec_path, "corpus.yaml").Required();
  build.Add("--output", flags.output, "Folder, instead of the spec's");
  build.Add("--order", flags.order, "Instead of the spec's")
      .OneOf(OrderNames());
  build
      .Add("--max-errors", flags.max_errors,
           "Bad lines to bear, instead of the spec's")
      .NotNegative();
  build.Add("--redo", flags.redo, "Run this stage in any case: " + StageNames())
      .Check([](const std::string& name) {
        return IsStageName(name) ? "" : "stages are " + StageNames();
      });
  return build;
}

// What `tokenize` is asked for.
struct TokenLinesFlags {
  std::string tokenizer;
  bool lines = false;
  bool decode = false;
};

flags::Command AddTokenize(flags::CommandLine& line, TokenLinesFlags& flags) {
  auto tokenize = line.AddCommand(
      "tokenize", "Token ids of the text on standard input, as a JSON array");
  tokenize
      .Add("--tokenizer", flags.tokenizer,
           "tokenizer.json, tokenizer.model, or the folder of a dataset")
      .Required();
  const auto lines = tokenize.AddSwitch(
      "--lines", flags.lines, "Every line is a text, written as a JSON string");
  tokenize
      .AddSwitch("--decode", flags.decode,
                 "The other way: every line is an array of ids")
      .Excludes(lines);
  return tokenize;
}

int RunTokenize(const TokenLinesFlags& flags) {
  const auto tokenizer =
      text::LoadTokenizer(text::TokenizerPath(flags.tokenizer));
  if (!tokenizer.ok()) return ExitCodeOf(tokenizer.status());
  const TokenLinesMode mode = flags.decode  ? TokenLinesMode::kDecode
                              : flags.lines ? TokenLinesMode::kLines
                                            : TokenLinesMode::kWhole;
  // By way of stdio a read that fails looks like the end.
  std::ios::sync_with_stdio(false);
  const absl::Status printed =
      PrintTokenLines(**tokenizer, mode, std::cin, std::cout);
  const int64_t given_up = (*tokenizer)->given_up();
  if (given_up > 0) std::cerr << GivenUpText(given_up) << "\n";
  return ExitCodeOf(printed);
}

int Main(int argc, char** argv) {
  flags::CommandLine line(
      {.name = "lory-corpus",
       .about = "Builds training data: documents to similarity-ordered shards.",
       .footer = kFooter,
       .version = "lory-corpus " LORY_VERSION,
       .usage_exit = kWrongUsage});

  BuildFlags flags;
  auto build = AddBuild(line, flags);

  std::string path;
  std::optional<int64_t> sequence;
  auto inspect = line.AddCommand("inspect", "Show what a dataset is made of");
  inspect.Add("DATASET", path, "Its manifest or folder").Required();
  inspect.Add("--sequence", sequence, "Show the documents of this sequence");

  auto stats = line.AddCommand(
      "stats", "What is in a dataset, what was dropped, how good the order is");
  stats.Add("DATASET", path, "Its manifest or folder").Required();

  std::string other;
  auto compare = line.AddCommand(
      "compare", "Two orders: similarity inside contexts and between them");
  compare.Add("DATASET", path, "Manifest or folder").Required();
  compare.Add("OTHER", other, "Manifest or folder").Required();

  MapOptions map_options;
  std::string map_file = "map.svg";
  auto map = line.AddCommand("map", "Draw documents and their order as SVG");
  map.Add("DATASET", path, "Its manifest or folder").Required();
  map.Add("--output", map_file, "The file, *.svg").ShowDefault();
  map.Add("--documents", map_options.documents, "Points at most")
      .Range(1, 1'000'000)
      .ShowDefault();
  map.Add("--walk", map_options.walk,
          "Documents whose order is drawn as a line")
      .Range(0, 1'000'000)
      .ShowDefault();

  auto verify = line.AddCommand("verify", "Check every byte of a dataset");
  verify.Add("DATASET", path, "Its manifest or folder").Required();

  TokenLinesFlags token_flags;
  auto tokenize = AddTokenize(line, token_flags);

  if (const auto exit = line.Parse(argc, argv)) return *exit;
  Progress progress(RealClock(), stderr, ::isatty(STDERR_FILENO) == 1);
  if (build.given()) return RunBuild(flags, progress);
  if (tokenize.given()) return RunTokenize(token_flags);
  if (stats.given()) return Print(DatasetStats(path));
  if (compare.given()) return Print(CompareDatasets(path, other));
  if (map.given()) return Print(MapDataset(path, map_options, map_file));
  if (inspect.given()) return Print(InspectDataset(path, sequence));
  return Print(VerifyDataset(path, progress));
}

}  // namespace
}  // namespace lory::corpus

int main(int argc, char** argv) {
  lory::IgnoreFileSizeSignal();
  return lory::corpus::Main(argc, argv);
}
