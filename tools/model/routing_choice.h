#ifndef LORY_TOOLS_MODEL_ROUTING_CHOICE_H_
#define LORY_TOOLS_MODEL_ROUTING_CHOICE_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/model/tokenizer_file.h"
#include "worker/model/transformer.h"

// Which dense model a Lory model is to become.
namespace lory::surgery {

struct RoutingChoice {
  enum class Kind {
    kNone,
    kPrompt,   // as PROMPT inference routes `text`
    kUniform,  // all experts alike
    kText,     // the mean over the segments of `text`, routed as in training
  };
  Kind kind = Kind::kNone;
  std::string text;
};

bool IsLory(const lory::model::Transformer& model);

// "under the routing of a prompt"; empty for kNone.
std::string DescribeRouting(const RoutingChoice& choice);

// Whether `choice` can be made for `model`: a Lory model needs one, others take
// none, and a text needs a tokenizer. INVALID_ARGUMENT lists what there is to
// choose.
absl::Status CheckChoice(const lory::model::Transformer& model,
                         const RoutingChoice& choice, bool has_tokenizer);

// The Lory model merged as `choice` says, or another model itself.
// `tokenizer` may be null where CheckChoice needs none. INVALID_ARGUMENT: as
// CheckChoice, or the text is too long or too short.
absl::StatusOr<std::unique_ptr<lory::model::Transformer>> AsRouted(
    std::unique_ptr<lory::model::Transformer> model,
    const RoutingChoice& choice, const TokenizerFile* tokenizer);

}  // namespace lory::surgery

#endif  // LORY_TOOLS_MODEL_ROUTING_CHOICE_H_
