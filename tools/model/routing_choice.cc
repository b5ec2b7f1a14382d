#include "tools/model/routing_choice.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/status_macros.h"
#include "worker/model/merge_experts.h"
#include "worker/train/torch_guard.h"

namespace lory::surgery {
namespace {

using ::lory::model::LayerRouting;
using ::lory::model::Transformer;
using Kind = RoutingChoice::Kind;

absl::StatusOr<LayerRouting> RoutingOf(const Transformer& model,
                                       const RoutingChoice& choice,
                                       const TokenizerFile* tokenizer) {
  switch (choice.kind) {
    case Kind::kPrompt:
      return lory::model::PromptRouting(model,
                                        EncodePrompt(*tokenizer, choice.text));
    case Kind::kText:
      return lory::model::AverageRouting(model,
                                         EncodeText(*tokenizer, choice.text));
    case Kind::kUniform:
      return lory::model::UniformRouting(model.shape());
    case Kind::kNone:
      break;
  }
  LORY_CHECK(false);  // CheckChoice lets it not through
}

}  // namespace

bool IsLory(const Transformer& model) {
  return model.shape().feed_forward == lory::config::FeedForwardKind::kLory;
}

std::string DescribeRouting(const RoutingChoice& choice) {
  switch (choice.kind) {
    case Kind::kPrompt:
      return "under the routing of a prompt";
    case Kind::kText:
      return "under the average routing of a text";
    case Kind::kUniform:
      return "under uniform routing";
    case Kind::kNone:
      break;
  }
  return "";
}

absl::Status CheckChoice(const Transformer& model, const RoutingChoice& choice,
                         bool has_tokenizer) {
  if (!IsLory(model)) {
    if (choice.kind == Kind::kNone) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrCat(
        model.shape().expert_count == 0
            ? "the checkpoint is dense: it has no experts to route"
            : "the checkpoint is no Lory model: only Lory's experts are merged "
              "for a text",
        "; leave out --prompt, --prompt-file, --routing and --routing-text"));
  }
  if (choice.kind == Kind::kNone) {
    return absl::InvalidArgumentError(
        "a Lory model is a dense model only under a fixed routing; choose one: "
        "--prompt TEXT or --prompt-file FILE (each layer routed once by that "
        "prompt, as when the model answers it), --routing-text FILE (the mean "
        "routing of a longer text) or --routing uniform (all experts alike)");
  }
  if (choice.kind != Kind::kUniform && !has_tokenizer) {
    return absl::InvalidArgumentError(
        "a text needs the model's tokenizer: --tokenizer PATH, a "
        "tokenizer.json, a tokenizer.model or the dataset's folder");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Transformer>> AsRouted(
    std::unique_ptr<Transformer> model, const RoutingChoice& choice,
    const TokenizerFile* tokenizer) {
  LORY_RETURN_IF_ERROR(CheckChoice(*model, choice, tokenizer != nullptr));
  if (!IsLory(*model)) return model;
  return lory::train::GuardTorch(
      "merging", [&]() -> absl::StatusOr<std::unique_ptr<Transformer>> {
        LORY_ASSIGN_OR_RETURN(const LayerRouting routing,
                              RoutingOf(*model, choice, tokenizer));
        return lory::model::MergeExperts(*model, routing);
      });
}

}  // namespace lory::surgery
