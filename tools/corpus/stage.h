#ifndef LORY_TOOLS_CORPUS_STAGE_H_
#define LORY_TOOLS_CORPUS_STAGE_H_

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/base/progress.h"
#include "nlohmann/json.hpp"

// The build is a chain of stages. Each leaves its files and a stage.json with
// what it was made from; a stage whose inputs, options and version are what
// they were is not run again. A stage that fails or is killed leaves no
// stage.json. Files of an earlier build are compared with their hashes before a
// stage reads them.
namespace lory::corpus {

struct StageOutput {
  std::string file;  // name in the stage's folder
  int64_t bytes = 0;
  std::string sha256;  // hex
};

// What a stage left behind: the content of its stage.json.
struct StageRecord {
  std::string folder;
  std::string fingerprint;  // of inputs, options and version
  std::vector<StageOutput> outputs;
  std::map<std::string, double> figures;  // counts for people and later stages

  // One hash over all outputs: what stages that read them depend on. Equal
  // outputs of changed options do not redo what follows.
  std::string OutputHash() const;
  std::string PathOf(absl::string_view file) const;
  int64_t Count(const std::string& figure) const;
};

// What running a stage gave.
struct StageResult {
  std::vector<std::string> files;  // names in the stage's folder
  std::map<std::string, double> figures;
  std::string summary;  // for people
};

struct Stage {
  std::string name;
  int version = 1;  // raise it when the same inputs give other outputs
  nlohmann::ordered_json options;
  // Name and hash of everything it reads.
  std::vector<std::pair<std::string, std::string>> inputs;
  // Where its files go; empty: a folder of its own beneath the runner's root,
  // which is emptied before.
  std::string folder;
  // Writes the files into `folder`, each whole or not at all.
  std::function<absl::StatusOr<StageResult>(const std::string& folder)> run;
};

// Of what `stage` is made from: name, version, options and inputs.
std::string FingerprintOf(const Stage& stage);

// Runs stages in one place. Thread-compatible; hold the BuildLock.
class StageRunner {
 public:
  // Stages get folders beneath `root`. `redo`: a stage to run in any case,
  // and with it all that its outputs reach.
  StageRunner(std::string root, std::string redo, Progress& progress)
      : root_(std::move(root)), redo_(std::move(redo)), progress_(progress) {}

  // Runs `stage` unless its files are there and up to date. The stage's own
  // error, annotated with its name. RESOURCE_EXHAUSTED: the disk is full; says
  // how much was free, and that a next run goes on with the stage. ABORTED: the
  // files of a stage that it reads, named in its inputs, are no longer what
  // that stage wrote; that one's record is gone, and a chain that begins again
  // does it anew.
  absl::StatusOr<StageRecord> Run(const Stage& stage);

  // Whether the stage to run in any case has: a chain that begins again need
  // not run it once more.
  bool redone() const { return redone_; }

 private:
  std::string RecordPath(const std::string& stage) const;
  absl::Status CheckInputs(const Stage& stage);
  absl::StatusOr<StageRecord> RunAnew(const Stage& stage,
                                      const std::string& folder,
                                      const std::string& fingerprint);

  const std::string root_;
  const std::string redo_;
  bool redone_ = false;
  Progress& progress_;
  // Those whose files nobody has read since an earlier build, by name.
  std::map<std::string, StageRecord> unread_;
};

// stage.json, and back. DATA_LOSS: it is not what SerializeStageRecord wrote.
std::string SerializeStageRecord(const Stage& stage, const StageRecord& record);
absl::StatusOr<StageRecord> ParseStageRecord(absl::string_view text,
                                             std::string folder);

}  // namespace lory::corpus

#endif  // LORY_TOOLS_CORPUS_STAGE_H_
