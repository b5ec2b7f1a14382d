#include "worker/serve/server_metrics.h"

namespace lory::serve {
namespace {

constexpr char kRequests[] = "lory_server_requests_total";
constexpr char kRequestSeconds[] = "lory_server_request_seconds";
constexpr char kFirstTokenSeconds[] = "lory_server_first_token_seconds";
constexpr char kTokens[] = "lory_server_tokens_total";
constexpr char kActive[] = "lory_server_active_requests";
constexpr char kQueued[] = "lory_server_queued_requests";
constexpr char kMergedBytes[] = "lory_server_merged_bytes";
constexpr char kMerges[] = "lory_server_merges_total";
constexpr char kMergeHits[] = "lory_server_merge_hits_total";

}  // namespace

ServerMetrics::ServerMetrics() {
  registry_.DeclareCounter(kRequests, "Requests answered, by method and code");
  registry_.DeclareHistogram(
      kRequestSeconds, "Seconds from a request to the end of its answer",
      {0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300});
  registry_.DeclareHistogram(
      kFirstTokenSeconds,
      "Seconds from a request to its first token, waiting included",
      {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30});
  registry_.DeclareCounter(kTokens, "Tokens read from prompts and made");
  registry_.DeclareGauge(kActive, "Requests that make tokens now");
  registry_.DeclareGauge(kQueued, "Requests that wait");
  registry_.DeclareGauge(kMergedBytes,
                         "Bytes of merged weights, in use and kept");
  registry_.DeclareCounter(kMerges, "Layers whose experts were merged");
  registry_.DeclareCounter(kMergeHits,
                           "Layers whose merged weights were there already");
  registry_.Add(kTokens, {{"kind", "prompt"}}, 0);
  registry_.Add(kTokens, {{"kind", "made"}}, 0);
  registry_.Add(kMerges, {}, 0);
  registry_.Add(kMergeHits, {}, 0);
  Stepped({});
}

void ServerMetrics::PromptRead(int64_t tokens, absl::Duration since_asked) {
  registry_.Add(kTokens, {{"kind", "prompt"}}, static_cast<double>(tokens));
  registry_.Observe(kFirstTokenSeconds, {}, absl::ToDoubleSeconds(since_asked));
}

void ServerMetrics::TokensMade(int64_t count) {
  registry_.Add(kTokens, {{"kind", "made"}}, static_cast<double>(count));
}

void ServerMetrics::Stepped(const State& state) {
  registry_.Set(kActive, {}, static_cast<double>(state.active));
  registry_.Set(kQueued, {}, static_cast<double>(state.queued));
  registry_.Set(kMergedBytes, {}, static_cast<double>(state.merged.bytes));
  registry_.Add(kMerges, {},
                static_cast<double>(state.merged.merges - merged_.merges));
  registry_.Add(kMergeHits, {},
                static_cast<double>(state.merged.hits - merged_.hits));
  merged_ = state.merged;
}

void ServerMetrics::Answered(const std::string& method, absl::StatusCode code,
                             absl::Duration took) {
  registry_.Add(kRequests,
                {{"method", method}, {"code", absl::StatusCodeToString(code)}});
  registry_.Observe(kRequestSeconds, {{"method", method}},
                    absl::ToDoubleSeconds(took));
}

}  // namespace lory::serve
