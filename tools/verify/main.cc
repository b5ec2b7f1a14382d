// lory-verify: a stand-alone auditor. It believes no report, only files.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "tools/verify/audit.h"

namespace {

constexpr char kFooter[] = R"(
Examples:
  lory-verify run --journal /var/lib/lory/state --job jobs/tiny
  lory-verify run --journal state --job tiny --storage-root storage -o json
  lory-verify checkpoint storage/jobs/tiny/checkpoints/step-100.gen-3
  lory-verify dataset data/demo

Nothing is changed, and the coordinator may be running. The last line of `run`
counts the samples lost and repeated in all that the job has trained.

Exit codes: 0 every invariant holds, 1 one does not or nothing could be read,
2 wrong usage.)";

int Print(const absl::StatusOr<lory::verify::Report>& report,
          const std::string& format) {
  if (!report.ok()) {
    std::fprintf(stderr, "lory-verify: %s\n",
                 std::string(report.status().message()).c_str());
    return 1;
  }
  const std::string text = format == "json" ? lory::verify::ToJson(*report)
                                            : lory::verify::ToText(*report);
  std::fwrite(text.data(), 1, text.size(), stdout);
  return report->ok() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Checks the invariants of a training run, from its files");
  app.footer(kFooter);
  app.set_version_flag("--version", "lory-verify " LORY_VERSION);
  app.require_subcommand(1);
  std::string format = "text";
  app.add_option("-o,--output", format, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
  app.fallthrough();

  lory::verify::RunOptions options;
  CLI::App* run = app.add_subcommand(
      "run", "A job: journal, trace, checkpoints and dataset together");
  run->add_option("--journal", options.state_folder,
                  "Folder that lory-coordinator has as --state")
      ->required();
  run->add_option("--job", options.job, "jobs/tiny, or tiny")->required();
  run->add_option("--storage-root", options.storage_root,
                  "lory-coordinator's --storage-root; default: found from a "
                  "checkpoint");
  run->add_option("--dataset", options.dataset_manifest,
                  "manifest.json of the dataset, if it has moved");

  std::string folder;
  CLI::App* checkpoint =
      app.add_subcommand("checkpoint", "One checkpoint, by its manifest");
  checkpoint->add_option("FOLDER", folder, "step-N.gen-G")->required();
  CLI::App* dataset = app.add_subcommand("dataset", "A dataset's shards");
  dataset->add_option("FOLDER", folder, "Where manifest.json is")->required();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (run->parsed()) return Print(lory::verify::AuditRun(options), format);
  if (checkpoint->parsed()) {
    return Print(lory::verify::AuditCheckpoint(folder), format);
  }
  return Print(lory::verify::AuditDataset(folder), format);
}
