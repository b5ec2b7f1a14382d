#include "tools/loryctl/study_jobs.h"

#include <map>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "common/config/feed_forward_shape.h"
#include "common/config/job_validation.h"
#include "common/config/yaml_tree.h"
#include "lory/v1/job.grpc.pb.h"
#include "tools/loryctl/exit_code.h"
#include "tools/loryctl/job_checks.h"
#include "tools/loryctl/job_view.h"
#include "tools/loryctl/words.h"

namespace lory::ctl {
namespace {

using ::lory::config::YamlNode;
using ::lory::v1::JobSpec;

// Every value of a job.yaml by its path.
void Flatten(const YamlNode& node, const std::string& path,
             std::map<std::string, std::string>& values) {
  if (node.kind != YamlNode::Kind::kMap) {
    values[path] = node.scalar;
    return;
  }
  if (node.entries.empty()) values[path] = "{}";
  for (const config::YamlEntry& entry : node.entries) {
    Flatten(entry.value,
            path.empty() ? entry.key : absl::StrCat(path, ".", entry.key),
            values);
  }
}

constexpr char kVariants[] = "model.feed_forward.";

// The variant of the feed-forward; empty: there is none.
std::string VariantOf(const std::map<std::string, std::string>& values) {
  const auto first = values.lower_bound(kVariants);
  if (first == values.end() || !absl::StartsWith(first->first, kVariants)) {
    return "";
  }
  const std::string rest = first->first.substr(sizeof(kVariants) - 1);
  return rest.substr(0, rest.find('.'));
}

// Makes one value of all options of the feed-forward: "lory {expert_count: 8}".
void JoinVariant(std::map<std::string, std::string>& values) {
  const std::string variant = VariantOf(values);
  const std::string prefix = absl::StrCat(kVariants, variant);
  std::vector<std::string> options;
  for (auto at = values.lower_bound(prefix);
       at != values.end() && absl::StartsWith(at->first, prefix);) {
    if (at->first.size() > prefix.size()) {
      options.push_back(
          absl::StrCat(at->first.substr(prefix.size() + 1), ": ", at->second));
    }
    at = values.erase(at);
  }
  values["model.feed_forward"] =
      options.empty()
          ? variant
          : absl::StrCat(variant, " {", absl::StrJoin(options, ", "), "}");
}

std::map<std::string, std::string> ValuesOf(JobSpec spec) {
  spec.clear_min_workers();
  spec.clear_max_workers();
  spec.clear_priority();
  const auto root = config::ParseYaml(config::JobFileText("", spec), "spec");
  LORY_CHECK(root.ok());  // it reads what it writes
  std::map<std::string, std::string> values;
  Flatten(*root, "", values);
  return values;
}

absl::Status CheckSameSpec(const StudyJob& planned) {
  JobSpec stored = planned.job.spec();
  // The coordinator filled in the checkpoint's, which is not known here.
  if (TakesModelOfCheckpoint(planned.file.spec)) stored.clear_model();
  const std::vector<std::string> differences =
      SpecDifferences(config::FillDefaults(stored), planned.file.spec);
  if (differences.empty()) return absl::OkStatus();
  const std::string& name = planned.file.name;
  return WithHint(
      absl::AlreadyExistsError(absl::StrCat(
          "there is a job ", name, " that is not the study's: it has\n",
          absl::StrJoin(differences, "\n"))),
      absl::StrCat("give the study another name, or remove the old job: "
                   "loryctl job delete ",
                   name));
}

}  // namespace

absl::StatusOr<std::vector<StudyJob>> PlanStudy(Session& session,
                                                const StudyFile& study) {
  std::vector<StudyJob> jobs;
  for (const int64_t seed : study.seeds) {
    for (size_t i = 0; i < study.variants.size(); ++i) {
      StudyJob job{.variant = i, .seed = seed};
      LORY_ASSIGN_OR_RETURN(job.file,
                            StudyJobFile(study, study.variants[i], seed));
      LORY_RETURN_IF_ERROR(FillFromDataset(session, job.file));
      LORY_RETURN_IF_ERROR(CheckJobFile(job.file));
      JobSpec& spec = job.file.spec;
      spec = config::FillDefaults(spec);
      if (!spec.init_from().empty() && spec.has_model()) {
        config::RemoveDensePhase(*spec.mutable_model()->mutable_feed_forward());
      }
      job.request_id = RandomUuid();
      jobs.push_back(std::move(job));
    }
  }
  return jobs;
}

absl::Status RefreshStudy(Session& session, std::vector<StudyJob>& jobs) {
  for (StudyJob& planned : jobs) {
    if (IsFinal(planned.job.state())) continue;
    lory::v1::GetJobRequest request;
    request.set_name(FullName("jobs", planned.file.name));
    auto job = session.Call(&lory::v1::JobService::Stub::GetJob, request);
    if (absl::IsNotFound(job.status())) {
      planned.job.Clear();
      continue;
    }
    LORY_RETURN_IF_ERROR(job.status());
    planned.job = *std::move(job);
    LORY_RETURN_IF_ERROR(CheckSameSpec(planned));
  }
  return absl::OkStatus();
}

absl::Status SubmitStudyJob(Session& session, StudyJob& planned) {
  lory::v1::CreateJobRequest request;
  request.set_job_id(planned.file.name);
  *request.mutable_spec() = planned.file.spec;
  request.set_request_id(planned.request_id);
  auto job = session.Call(&lory::v1::JobService::Stub::CreateJob, request);
  if (!job.ok()) {
    return WithHint(
        HintAtDataset(config::LocateErrors(job.status(), planned.file),
                      planned.file.spec),
        absl::StatusCode::kNotFound, "loryctl dataset list");
  }
  planned.job = *std::move(job);
  return absl::OkStatus();
}

std::vector<std::string> SpecDifferences(const JobSpec& a, const JobSpec& b) {
  std::map<std::string, std::string> left = ValuesOf(a);
  std::map<std::string, std::string> right = ValuesOf(b);
  if (VariantOf(left) != VariantOf(right)) {
    for (auto* values : {&left, &right}) {
      if (!VariantOf(*values).empty()) JoinVariant(*values);
    }
  }
  std::set<std::string> paths;
  for (const auto& [path, value] : left) paths.insert(path);
  for (const auto& [path, value] : right) paths.insert(path);
  std::vector<std::string> lines;
  for (const std::string& path : paths) {
    const auto in_a = left.find(path);
    const auto in_b = right.find(path);
    if (in_b == right.end()) {
      lines.push_back(
          absl::StrCat(path, ": ", in_a->second, ", which is not set there"));
    } else if (in_a == left.end()) {
      lines.push_back(
          absl::StrCat(path, ": not set, where it is ", in_b->second));
    } else if (in_a->second != in_b->second) {
      lines.push_back(
          absl::StrCat(path, ": ", in_a->second, ", not ", in_b->second));
    }
  }
  return lines;
}

}  // namespace lory::ctl
