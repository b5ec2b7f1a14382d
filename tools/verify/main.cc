// lory-verify: a stand-alone auditor. It believes no report, only files.

#include <cstdio>
#include <string>

#include "common/base/stop_signals.h"
#include "common/flags/command_line.h"
#include "common/io/standard_output.h"
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
  absl::Status status = report.status();
  if (report.ok()) {
    status = lory::io::WriteStandardOutput(format == "json"
                                               ? lory::verify::ToJson(*report)
                                               : lory::verify::ToText(*report));
  }
  if (status.ok()) return report->ok() ? 0 : 1;
  std::fprintf(stderr, "lory-verify: %s\n",
               std::string(status.message()).c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  lory::IgnoreFileSizeSignal();
  lory::flags::CommandLine line(
      {.about = "Checks the invariants of a training run, from its files",
       .footer = kFooter,
       .version = "lory-verify " LORY_VERSION,
       .flags_after_command = true});
  std::string format = "text";
  line.Add("-o,--output", format, "text or json")
      .OneOf({"text", "json"})
      .ShowDefault();

  lory::verify::RunOptions options;
  auto run = line.AddCommand(
      "run", "A job: journal, trace, checkpoints and dataset together");
  run.Add("--journal", options.state_folder,
          "Folder that lory-coordinator has as --state")
      .Required();
  run.Add("--job", options.job, "jobs/tiny, or tiny").Required();
  run.Add("--storage-root", options.storage_root,
          "lory-coordinator's --storage-root; default: found from a "
          "checkpoint");
  run.Add("--dataset", options.dataset_manifest,
          "manifest.json of the dataset, if it has moved");

  std::string folder;
  auto checkpoint =
      line.AddCommand("checkpoint", "One checkpoint, by its manifest");
  checkpoint.Add("FOLDER", folder, "step-N.gen-G").Required();
  auto dataset = line.AddCommand("dataset", "A dataset's shards");
  dataset.Add("FOLDER", folder, "Where manifest.json is").Required();

  if (const auto exit = line.Parse(argc, argv)) return *exit;
  if (run.given()) return Print(lory::verify::AuditRun(options), format);
  if (checkpoint.given()) {
    return Print(lory::verify::AuditCheckpoint(folder), format);
  }
  return Print(lory::verify::AuditDataset(folder), format);
}
