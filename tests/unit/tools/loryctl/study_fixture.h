#ifndef LORY_TESTS_UNIT_TOOLS_LORYCTL_STUDY_FIXTURE_H_
#define LORY_TESTS_UNIT_TOOLS_LORYCTL_STUDY_FIXTURE_H_

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "tests/support/temporary_folder.h"
#include "tests/unit/tools/loryctl/fake_service.h"

// A study of two variants with two seeds, against a service that is made up.
namespace lory::ctl {

inline constexpr char kStudy[] = R"(name: small
base:
  dataset: demo
  model:
    preset: tiny
    feed_forward: {lory: {expert_count: 4, segment_length: 64}}
  optimizer: {learning_rate: 1e-3}
  steps: 400
  micro_batches: 4
  micro_batch_sequences: 8
seeds: [1, 2]
variants:
  - name: lory
  - name: dense
    set: {model.feed_forward: {dense: {}}}
)";

struct StudyTest : ::testing::Test {
  StudyTest() {
    lory::v1::Dataset dataset;
    dataset.set_name("datasets/demo");
    dataset.set_vocabulary_size(4096);
    dataset.set_sequence_length(256);
    fake.datasets = {dataset};
    dataset.set_name("datasets/random");
    fake.datasets.push_back(dataset);
    fake.on_create = Succeed;
  }

  // Held-out losses 3.0, 3.1 of lory and 3.5, 3.7 of dense.
  static void Succeed(lory::v1::Job& job) {
    const double seed = static_cast<double>(job.spec().seed());
    const bool is_dense = absl::StrContains(job.name(), "dense");
    const double loss = is_dense ? 3.3 + 0.2 * seed : 2.9 + 0.1 * seed;
    job.set_state(lory::v1::Job::SUCCEEDED);
    job.set_reason("all steps are applied");
    job.mutable_progress()->set_step(400);
    job.mutable_progress()->set_tokens_per_second(1000 * seed);
    auto& evaluation = *job.mutable_progress()->mutable_evaluation();
    evaluation.set_step(400);
    evaluation.mutable_overall()->set_loss(loss);
    evaluation.mutable_train()->set_loss(loss - 0.5);
    auto& domain = *evaluation.add_domains();
    domain.set_domain("code");
    domain.set_perplexity(20 + seed);
    if (is_dense) return;
    auto& layer = *domain.add_routing();
    layer.add_active_fraction(0.1);
    layer.add_active_fraction(0);
  }

  Outcome Study(const char* verb, const std::string& text = kStudy,
                const std::vector<std::string>& more = {},
                const Terminal& terminal = {}) {
    if (!started_) fake.Start();
    started_ = true;
    std::vector<std::string> words = {"-s", fake.address(), "study", verb,
                                      folder.Write("study.yaml", text)};
    words.insert(words.end(), more.begin(), more.end());
    Outcome outcome = Loryctl(words, terminal);
    outcome.err = absl::StrReplaceAll(outcome.err, {{folder.path() + "/", ""}});
    return outcome;
  }

  std::string Result(const std::string& name) const {
    std::ifstream file(folder.At("small.results/" + name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  // Names of the jobs that were submitted, in their order.
  std::vector<std::string> Submitted() {
    std::vector<std::string> names;
    for (const std::string& request : fake.requests()) {
      if (!absl::StartsWith(request, "CreateJob")) continue;
      const size_t begin = request.find('"') + 1;
      names.push_back(request.substr(begin, request.find('"', begin) - begin));
    }
    return names;
  }

  // What was submitted under this name.
  std::string Request(const std::string& name) {
    const std::string begin = absl::StrCat("CreateJob job_id: \"", name, "\"");
    for (const std::string& request : fake.requests()) {
      if (absl::StartsWith(request, begin)) return request;
    }
    return "";
  }

  testing::TemporaryFolder folder;
  FakeService fake;

 private:
  bool started_ = false;
};

}  // namespace lory::ctl

#endif  // LORY_TESTS_UNIT_TOOLS_LORYCTL_STUDY_FIXTURE_H_
