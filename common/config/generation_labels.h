#ifndef LORY_COMMON_CONFIG_GENERATION_LABELS_H_
#define LORY_COMMON_CONFIG_GENERATION_LABELS_H_

#include <cstdint>
#include <vector>

#include "absl/strings/string_view.h"
#include "lory/v1/job.pb.h"

// What a Hugging Face folder said of the tokens around its texts and of how
// text is made: no part of the model, but it stays with the weights in the
// labels of their spec, from import to training, serving and export. Pure.
namespace lory::config {

// JSON of config.json's bos_, eos_ and pad_token_id.
inline constexpr char kTokenIdsLabel[] = "hugging_face_token_ids";
// JSON of generation_config.json.
inline constexpr char kGenerationLabel[] = "hugging_face_generation_config";

// Whether a label is one of these, which no person writes.
bool IsGenerationLabel(absl::string_view label);

// Gives `to` those of `from` that it does not have itself.
void KeepGenerationLabels(const lory::v1::JobSpec& from, lory::v1::JobSpec& to);

// The tokens that end an answer, as transformers' generate() takes them:
// eos_token_id of generation_config.json, or else of config.json, a number or
// several. Empty: `spec` says nothing of it. What is no id is left out.
std::vector<int64_t> EndTokens(const lory::v1::JobSpec& spec);

}  // namespace lory::config

#endif  // LORY_COMMON_CONFIG_GENERATION_LABELS_H_
