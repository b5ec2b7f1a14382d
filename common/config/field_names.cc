#include "common/config/field_names.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/edit_distance.h"
#include "lory/v1/job.pb.h"

namespace lory::config {
namespace {

using ::google::protobuf::Descriptor;
using ::google::protobuf::FieldDescriptor;

struct ShortName {
  absl::string_view field;
  absl::string_view key;
};
constexpr ShortName kShortNames[] = {
    {"lory.v1.JobSpec.step_count", "steps"},
    {"lory.v1.JobSpec.micro_batch_count", "micro_batches"},
    {"lory.v1.OptimizerSpec.peak_learning_rate", "learning_rate"},
};

// Those with a name that starts with a dot are alike in all messages that have
// them: the variants of the feed-forward.
constexpr absl::string_view kNoneFields[] = {
    "lory.v1.OptimizerSpec.weight_decay",
    "lory.v1.OptimizerSpec.clip_norm",
    ".dense_fraction",
    ".expert_dropout",
    "lory.v1.EvaluationSpec.train_sequences",
};

// Those whose comment in the proto says "0: the default".
constexpr absl::string_view kTakenFields[] = {
    "lory.v1.ModelSpec.rotary_base",
    "lory.v1.ModelSpec.norm_epsilon",
    "lory.v1.ModelSpec.init_stddev",
    ".router_init_stddev",
    ".top_k",
    ".capacity_factor",
    ".slots_per_expert",
    ".balance_coefficient",
    ".initial_weight",
    "lory.v1.OptimizerSpec.beta1",
    "lory.v1.OptimizerSpec.beta2",
    "lory.v1.OptimizerSpec.epsilon",
    "lory.v1.OptimizerSpec.warmup_fraction",
    "lory.v1.OptimizerSpec.final_fraction",
    "lory.v1.OptimizerSpec.nonfinite_step_limit",
    "lory.v1.CheckpointSpec.keep_count",
};

template <typename List>
bool Contains(const List& list, absl::string_view name) {
  return std::any_of(
      std::begin(list), std::end(list), [&](absl::string_view entry) {
        return entry[0] == '.' ? absl::EndsWith(name, entry) : entry == name;
      });
}

// One spelling for segmentLength, segment-length and Segment_Length.
std::string Normal(absl::string_view key) {
  std::string normal;
  for (const char c : key) {
    if (c == '_' || c == '-' || c == ' ') continue;
    normal += absl::ascii_tolower(c);
  }
  return normal;
}

struct Candidate {
  int distance;
  int depth;
  std::string path;
};

void Collect(const Descriptor& message, absl::string_view wrong,
             const std::string& prefix, int depth,
             std::vector<Candidate>& candidates) {
  const auto add = [&](absl::string_view name, absl::string_view key) {
    candidates.push_back({EditDistance(Normal(wrong), Normal(name)), depth,
                          absl::StrCat(prefix, key)});
  };
  for (const std::string& key : KeysOf(message)) add(key, key);
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    const std::string key = KeyOf(field);
    add(field.name(), key);
    const Descriptor* inner = field.message_type();
    // A map's keys are free, and foreign messages have keys nobody writes.
    if (inner != nullptr && !field.is_map() &&
        inner->file()->package() == "lory.v1") {
      Collect(*inner, wrong, absl::StrCat(prefix, key, "."), depth + 1,
              candidates);
    }
  }
}

}  // namespace

std::string KeyOf(const FieldDescriptor& field) {
  for (const ShortName& name : kShortNames) {
    if (name.field == field.full_name()) return std::string(name.key);
  }
  return field.name();
}

std::string KeyPathOf(absl::string_view field_path) {
  if (field_path == "job_id") return "name";
  absl::string_view rest = field_path;
  if (!absl::ConsumePrefix(&rest, "spec.")) return std::string(field_path);
  std::vector<std::string> keys;
  const Descriptor* message = lory::v1::JobSpec::descriptor();
  for (const absl::string_view name : absl::StrSplit(rest, '.')) {
    const FieldDescriptor* field =
        message == nullptr ? nullptr : FieldOf(*message, name);
    keys.push_back(field == nullptr ? std::string(name) : KeyOf(*field));
    message = field == nullptr ? nullptr : field->message_type();
  }
  return absl::StrJoin(keys, ".");
}

const FieldDescriptor* FieldOf(const Descriptor& message,
                               absl::string_view key) {
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor* field = message.field(i);
    if (key == field->name() || key == KeyOf(*field)) return field;
  }
  return nullptr;
}

ZeroMeaning ZeroMeaningOf(const FieldDescriptor& field) {
  if (Contains(kNoneFields, field.full_name())) return ZeroMeaning::kNone;
  if (Contains(kTakenFields, field.full_name())) return ZeroMeaning::kTaken;
  return ZeroMeaning::kZero;
}

std::vector<std::string> KeysOf(const Descriptor& message) {
  std::vector<std::string> keys;
  if (message.full_name() == "lory.v1.JobSpec") keys.push_back("name");
  if (message.full_name() == "lory.v1.ModelSpec") keys.push_back("preset");
  for (int i = 0; i < message.field_count(); ++i) {
    keys.push_back(KeyOf(*message.field(i)));
  }
  return keys;
}

std::string SuggestKey(const Descriptor& message, absl::string_view wrong) {
  std::vector<Candidate> candidates;
  Collect(message, wrong, "", 0, candidates);
  if (candidates.empty()) return "";
  const auto best = std::min_element(
      candidates.begin(), candidates.end(),
      [](const Candidate& a, const Candidate& b) {
        return std::pair(a.distance, a.depth) < std::pair(b.distance, b.depth);
      });
  const int allowed = static_cast<int>(Normal(wrong).size()) / 3;
  return best->distance <= std::min(allowed, 3) ? best->path : "";
}

}  // namespace lory::config
