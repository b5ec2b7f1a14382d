#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lory/v1/dataset.grpc.pb.h"
#include "lory/v1/job.grpc.pb.h"
#include "lory/v1/worker.grpc.pb.h"
#include "tools/loryctl/command_line.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

// The shells only ask `loryctl __complete WORDS...`; all knowledge is here.
constexpr char kBash[] = R"(# loryctl completion for bash.
#   source <(loryctl completion bash)
_loryctl() {
  local IFS=$'\n'
  COMPREPLY=($(loryctl __complete "${COMP_WORDS[@]:1:COMP_CWORD}" \
    2>/dev/null))
  [[ ${#COMPREPLY[@]} -eq 0 ]] && compopt -o default
}
complete -F _loryctl loryctl
)";

// Works both ways: sourced, then it starts zsh's completion if nobody has, and
// as a file _loryctl in a folder of $fpath, then it is the function's body.
constexpr char kZsh[] = R"(#compdef loryctl
# loryctl completion for zsh.
#   source <(loryctl completion zsh)
_loryctl() {
  local -a candidates
  candidates=("${(@f)$(loryctl __complete "${words[@]:1:$((CURRENT-1))}" \
    2>/dev/null)}")
  if [[ -n "${candidates[1]}" ]]; then
    compadd -- "${candidates[@]}"
  else
    _files
  fi
}
if [[ "${funcstack[1]}" = _loryctl ]]; then
  _loryctl "$@"
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _loryctl loryctl
fi
)";

constexpr char kFish[] = R"(# loryctl completion for fish.
#   loryctl completion fish | source
function __loryctl_candidates
  set -l word (commandline -ct)
  set -l before (commandline -opc)[2..-1]
  set -l found (loryctl __complete $before "$word" 2>/dev/null)
  if test (count $found) -gt 0
    printf '%s\n' $found
  else
    __fish_complete_path "$word"
  end
end
complete -c loryctl -f -a '(__loryctl_candidates)'
)";

// The resources of a noun, while the shell waits: briefly, and silently.
std::vector<std::string> NamesOf(Session& session, const std::string& noun) {
  std::vector<std::string> names;
  session.settings().timeout_seconds = 1;
  const auto add = [&](const auto& list) {
    for (const auto& item : list) names.push_back(ShortName(item.name()));
  };
  using ::lory::v1::DatasetService;
  using ::lory::v1::JobService;
  using ::lory::v1::WorkerAdminService;
  if (noun == "job" || noun == "checkpoint") {
    const auto jobs =
        session.Call(&JobService::Stub::ListJobs, lory::v1::ListJobsRequest());
    if (jobs.ok()) add(jobs->jobs());
  } else if (noun == "worker") {
    const auto workers = session.Call(&WorkerAdminService::Stub::ListWorkers,
                                      lory::v1::ListWorkersRequest());
    if (workers.ok()) add(workers->workers());
  } else if (noun == "dataset") {
    const auto datasets = session.Call(&DatasetService::Stub::ListDatasets,
                                       lory::v1::ListDatasetsRequest());
    if (datasets.ok()) add(datasets->datasets());
  }
  return names;
}

std::vector<std::string> OptionsOf(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    for (const CLI::Option* option : at->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        names.push_back(absl::StrCat("--", name));
      }
    }
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

// Whether the word after the option `word` is its value.
bool TakesValue(const CLI::App& app, const std::string& word) {
  for (const CLI::App* at = &app; at != nullptr; at = at->get_parent()) {
    const CLI::Option* option = at->get_option_no_throw(word);
    if (option != nullptr) return option->get_expected_max() > 0;
  }
  return false;
}

std::vector<std::string> Candidates(const CLI::App& root, Session& session,
                                    const std::vector<std::string>& words) {
  const CLI::App* app = &root;
  std::string noun;
  bool has_name = false;
  for (size_t i = 0; i + 1 < words.size(); ++i) {
    const auto found = app->get_subcommands(
        [&](const CLI::App* child) { return child->check_name(words[i]); });
    if (!found.empty()) {
      if (app == &root) noun = found.front()->get_name();
      app = found.front();
    } else if (TakesValue(*app, words[i])) {
      ++i;
    } else if (!absl::StartsWith(words[i], "-")) {
      has_name = true;
    }
  }
  const std::string last = words.empty() ? "" : words.back();
  const std::string before = words.size() < 2 ? "" : words[words.size() - 2];
  if (absl::StartsWith(last, "-")) return OptionsOf(*app);
  if (before == "-o" || before == "--output") {
    return {"table", "json", "yaml", "name"};
  }
  if (absl::StartsWith(before, "-")) return {};  // a value; files are likely
  std::vector<std::string> names;
  for (const CLI::App* child : app->get_subcommands(
           [](const CLI::App* child) { return !child->get_group().empty(); })) {
    names.push_back(child->get_name());
  }
  const bool takes_name = app->get_option_no_throw("name") != nullptr ||
                          app->get_option_no_throw("job") != nullptr;
  if (names.empty() && takes_name && !has_name &&
      app->get_name() != "register") {
    return NamesOf(session, noun);
  }
  return names;
}

}  // namespace

void AddCompletionCommands(CommandLine& line) {
  CLI::App& noun = *line.root().add_subcommand(
      "completion", "Print a script that completes words in your shell");
  noun.require_subcommand(1);
  const auto add = [&](const char* shell, const char* script,
                       const std::string& use) {
    line.AddVerb(noun, shell, absl::StrCat("Completion for ", shell), {use},
                 [=](Session& session) {
                   session.out() << script;
                   return absl::OkStatus();
                 });
  };
  add("bash", kBash, "source <(loryctl completion bash)");
  add("zsh", kZsh, "source <(loryctl completion zsh)");
  add("fish", kFish, "loryctl completion fish | source");
}

int Complete(const CLI::App& root, const std::vector<std::string>& words,
             Environment& environment) {
  Session session(environment);
  for (size_t i = 0; i + 2 < words.size(); ++i) {
    if (words[i] == "-s" || words[i] == "--server") {
      session.settings().server = words[i + 1];
    }
  }
  // A shell that waits for a word has no use for errors.
  IgnoreStatus(CompleteSettings(environment, session.settings()),
               "without it names are not completed, words are");
  const std::string last = words.empty() ? "" : words.back();
  for (const std::string& word : Candidates(root, session, words)) {
    if (absl::StartsWith(word, last)) environment.out << word << "\n";
  }
  return 0;
}

}  // namespace lory::ctl
