#include "tools/corpus/mixture.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/random.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"

namespace lory::corpus {
namespace {

// Keeps this choice apart from that of held-out documents.
constexpr uint64_t kMixtureKey = 0x6d697874757265u;  // "mixture"

absl::Status WrongShare(absl::string_view domain, absl::string_view what) {
  return absl::InvalidArgumentError(
      absl::StrCat("mixture: domain ", domain, " ", what));
}

absl::Status CheckWeights(const std::vector<DomainShare>& domains,
                          const std::map<std::string, double>& weights) {
  std::vector<std::string> known;
  for (const DomainShare& share : domains) {
    if (share.tokens == 0) continue;
    known.push_back(share.domain);
    if (!weights.contains(share.domain)) {
      return WrongShare(share.domain, "has no weight; 0 would leave it out");
    }
  }
  for (const auto& [domain, weight] : weights) {
    if (weight > 0 &&
        std::find(known.begin(), known.end(), domain) == known.end()) {
      return WrongShare(domain, absl::StrCat("has nothing to train; what has: ",
                                             absl::StrJoin(known, ", ")));
    }
  }
  return absl::OkStatus();
}

// The documents of a domain that come once more than the others: as many, by
// hash, as come nearest to `tokens`.
void AddOnce(std::vector<std::pair<uint64_t, int64_t>> documents,
             const std::function<int64_t(int64_t)>& tokens_of, double tokens,
             std::vector<uint8_t>* copies) {
  std::sort(documents.begin(), documents.end());
  for (const auto& [hash, document] : documents) {
    const double size = static_cast<double>(tokens_of(document));
    if (size > 2 * tokens) continue;
    tokens -= size;
    ++(*copies)[document];
  }
}

}  // namespace

absl::StatusOr<Mixture> Mix(std::span<const DocumentRecord> records,
                            const std::vector<std::string>& domains,
                            const std::function<int64_t(int64_t)>& tokens_of,
                            std::span<const uint8_t> gone,
                            const std::map<std::string, double>& weights,
                            uint64_t seed) {
  Mixture mixture;
  mixture.copies.resize(records.size());
  for (const std::string& domain : domains) {
    mixture.domains.push_back({.domain = domain});
  }
  // Hash and number of each document, by domain.
  std::vector<std::vector<std::pair<uint64_t, int64_t>>> members(
      domains.size());
  int64_t total = 0;
  for (size_t i = 0; i < records.size(); ++i) {
    if (gone[i]) continue;
    mixture.copies[i] = 1;
    const DocumentRecord& record = records[i];
    mixture.domains[record.domain].tokens += tokens_of(i);
    total += tokens_of(i);
    members[record.domain].emplace_back(
        Mix64(record.id.high ^ Mix64(record.id.low + seed + kMixtureKey)), i);
  }
  double weight_sum = 0;
  for (const auto& [domain, weight] : weights) weight_sum += weight;
  if (weight_sum > 0) {
    LORY_RETURN_IF_ERROR(CheckWeights(mixture.domains, weights));
  }
  for (size_t d = 0; weight_sum > 0 && d < domains.size(); ++d) {
    const DomainShare& share = mixture.domains[d];
    if (share.tokens == 0) continue;
    const double target =
        weights.at(share.domain) / weight_sum * static_cast<double>(total);
    const double epochs = target / static_cast<double>(share.tokens);
    if (epochs > kMostEpochs) {
      return WrongShare(
          share.domain,
          absl::StrFormat("would be trained %.0f times, more than "
                          "%.0f: give it less weight or more text",
                          epochs, kMostEpochs));
    }
    const double whole = std::floor(epochs);
    for (const auto& [hash, document] : members[d]) {
      mixture.copies[document] = static_cast<uint8_t>(whole);
    }
    AddOnce(members[d], tokens_of,
            target - whole * static_cast<double>(share.tokens),
            &mixture.copies);
  }
  for (size_t d = 0; d < domains.size(); ++d) {
    DomainShare& share = mixture.domains[d];
    for (const auto& [hash, document] : members[d]) {
      share.planned += mixture.copies[document] * tokens_of(document);
    }
    if (share.tokens > 0) {
      share.epochs = static_cast<double>(share.planned) /
                     static_cast<double>(share.tokens);
    }
  }
  return mixture;
}

absl::StatusOr<StageResult> MixDomains(
    const DocumentStore& store, const TokenStore& tokens,
    std::span<const uint8_t> held_out, std::span<const uint8_t> dropped,
    const std::map<std::string, double>& weights, uint64_t seed,
    const std::string& folder) {
  std::vector<uint8_t> gone(held_out.begin(), held_out.end());
  for (size_t i = 0; i < gone.size(); ++i) gone[i] |= dropped[i];
  LORY_ASSIGN_OR_RETURN(
      const Mixture mixture,
      Mix(
          store.records(), store.domains(),
          [&](int64_t i) { return static_cast<int64_t>(tokens.Of(i).size()); },
          gone, weights, seed));
  LORY_RETURN_IF_ERROR(WriteArray<uint8_t>(
      absl::StrCat(folder, "/", kCopiesFile), mixture.copies));
  StageResult result;
  result.files = {kCopiesFile};
  std::vector<std::string> parts;
  for (const DomainShare& share : mixture.domains) {
    if (share.tokens == 0) continue;
    result.figures[absl::StrCat(kEpochsFigure, share.domain)] = share.epochs;
    parts.push_back(absl::StrFormat("%s %.2f", share.domain, share.epochs));
  }
  result.summary = weights.empty() ? "every document once"
                                   : absl::StrCat("epochs of each domain: ",
                                                  absl::StrJoin(parts, ", "));
  return result;
}

}  // namespace lory::corpus
