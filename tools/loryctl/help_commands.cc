#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/config/field_names.h"
#include "common/config/model_presets.h"
#include "lory/v1/job.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/exit_code.h"

namespace lory::ctl {
namespace {

constexpr char kJobFile[] =
    R"(# job.yaml: everything else has a default; docs/job-file.md has all keys.
name: tiny
dataset: demo                # loryctl dataset list
model:
  preset: tiny               # any key below it overrides the preset
  feed_forward:
    lory: {expert_count: 4, segment_length: 32}
optimizer:
  learning_rate: 1e-3
steps: 400
micro_batches: 4             # of a step; at least max_workers
micro_batch_sequences: 8
min_workers: 1
max_workers: 2
checkpoint: {every_steps: 100}
evaluation: {every_steps: 100}
)";

// A job.yaml itself, so that it can be written to a file and submitted.
std::string JobFileHelp() {
  std::string text = absl::StrCat(kJobFile, "\n# Presets:\n");
  for (const auto& preset : config::ModelPresets()) {
    absl::StrAppendFormat(&text, "#   %-11s%s\n", preset.name,
                          preset.description);
  }
  absl::StrAppend(&text, "# Keys at the top:\n");
  for (const std::string& key :
       config::KeysOf(*lory::v1::JobSpec::descriptor())) {
    absl::StrAppend(&text, "#   ", key, "\n");
  }
  return text;
}

// --help of every command, as docs/cli.md has it. Not by App::help, which
// shows the command that was given, this one, instead of those above it.
void AppendMarkdown(const CLI::App& app, const std::string& path,
                    std::string& text) {
  const std::string depth = path == "loryctl" ? "##" : "###";
  absl::StrAppend(
      &text, "\n", depth, " ", path, "\n\n```\n",
      app.get_formatter()->make_help(&app, path, CLI::AppFormatMode::Normal),
      "```\n");
  for (const CLI::App* child : app.get_subcommands(
           [](const CLI::App* child) { return !child->get_group().empty(); })) {
    AppendMarkdown(*child, absl::StrCat(path, " ", child->get_name()), text);
  }
}

std::string Markdown(const CLI::App& root) {
  std::string text = R"(# Command line

What `loryctl` prints for `--help`, all in one place. This page is made by
`loryctl help markdown > docs/cli.md`; a test compares it with the program.
)";
  AppendMarkdown(root, "loryctl", text);
  absl::StrAppend(&text, "\n## Exit codes\n\n```\n", ExitCodeHelp(), "```\n");
  // Trailing spaces of the help formatter are no part of a page.
  std::string clean;
  for (const char c : text) {
    while (c == '\n' && !clean.empty() && clean.back() == ' ') clean.pop_back();
    clean += c;
  }
  return clean;
}

}  // namespace

void AddHelpCommands(CommandLine& line) {
  CLI::App& noun =
      *line.root().add_subcommand("help", "More to read: exit-codes, job-file");
  noun.require_subcommand(1);
  const CLI::App& root = line.root();
  const auto add = [&](const char* name, const char* description,
                       std::function<std::string()> text) -> CLI::App& {
    return line.AddVerb(noun, name, description, {},
                        [text = std::move(text)](Session& session) {
                          session.out() << text();
                          return absl::OkStatus();
                        });
  };
  add("exit-codes", "What the exit codes mean", ExitCodeHelp);
  add("job-file", "An example of a job.yaml, and its keys", JobFileHelp);
  add("markdown", "All of this as one page", [&root] {
    return Markdown(root);
  }).group("");
  line.AddVerb(line.root(), "version", "Print the version", {"loryctl version"},
               [](Session& session) {
                 session.out() << "loryctl " << LORY_VERSION << "\n";
                 return absl::OkStatus();
               });
  line.root().set_version_flag("--version", "loryctl " LORY_VERSION);
}

}  // namespace lory::ctl
