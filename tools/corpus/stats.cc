#include "tools/corpus/stats.h"

#include <algorithm>
#include <bit>
#include <map>
#include <memory>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/coherence.h"
#include "tools/corpus/dataset_view.h"
#include "tools/corpus/ingest.h"
#include "tools/corpus/line_reader.h"
#include "tools/corpus/near_duplicates.h"
#include "tools/corpus/pack.h"

namespace lory::corpus {
namespace {

constexpr int kBarColumns = 40;
constexpr int kExamples = 3;

std::string Bar(int64_t count, int64_t most) {
  const int64_t columns = most == 0 ? 0 : count * kBarColumns / most;
  return std::string(static_cast<size_t>(columns), '#');
}

// How long documents are: powers of two of tokens.
std::string Lengths(const std::vector<IndexedDocument>& documents) {
  std::vector<int64_t> lengths;
  std::map<int, int64_t> powers;
  int64_t most = 0;
  for (const IndexedDocument& document : documents) {
    lengths.push_back(document.token_count);
    const int power =
        std::bit_width(static_cast<uint64_t>(document.token_count)) - 1;
    most = std::max(most, ++powers[power]);
  }
  if (lengths.empty()) return "";
  std::sort(lengths.begin(), lengths.end());
  const auto at = [&](double share) {
    return lengths[static_cast<size_t>(
        share * static_cast<double>(lengths.size() - 1))];
  };
  std::string out = absl::StrFormat(
      "\ntokens of a document: median %d, nine of ten below %d, at most %d\n",
      at(0.5), at(0.9), lengths.back());
  for (const auto& [power, count] : powers) {
    absl::StrAppendFormat(&out, "%9d+ %9d  %s\n", int64_t{1} << power, count,
                          Bar(count, most));
  }
  return out;
}

// The first lines of a report that a stage left.
std::string Examples(const std::string& path) {
  const absl::StatusOr<std::unique_ptr<LineReader>> lines =
      LineReader::Open(path);
  std::string out;
  for (int i = 0; lines.ok() && i < kExamples; ++i) {
    const auto line = (*lines)->Next();
    if (!line.ok() || !*line) break;
    absl::StrAppend(&out, "    ", **line, "\n");
  }
  return out;
}

int64_t Figure(const StageRecord& record, const std::string& name) {
  const auto found = record.figures.find(name);
  return found == record.figures.end() ? 0
                                       : static_cast<int64_t>(found->second);
}

std::string Input(const DatasetView& view) {
  const auto ingest = view.RecordOf("ingest");
  const auto split = view.RecordOf("split");
  const auto duplicates = view.RecordOf("duplicates");
  if (!ingest || !split || !duplicates) return "";
  std::string out = absl::StrFormat(
      "\ninput: %d documents, %d bytes of text\n"
      "  %9d bad lines, left out\n"
      "  %9d files or folders, not read\n"
      "%s"
      "  %9d empty, left out\n"
      "  %9d the same text again, left out\n",
      Figure(*ingest, "documents"), Figure(*ingest, "text_bytes"),
      Figure(*ingest, "bad_lines"), Figure(*ingest, "skipped_files"),
      Examples(ingest->PathOf(kSkippedFile)), Figure(*ingest, "empty"),
      Figure(*ingest, "duplicates"));
  absl::StrAppend(&out, Examples(ingest->PathOf(kDuplicatesFile)));
  absl::StrAppendFormat(&out,
                        "  %9d held out\n"
                        "  %9d near duplicates of held-out ones, left out\n"
                        "  %9d near duplicates of others, left out\n",
                        Figure(*split, "held_out"),
                        Figure(*duplicates, "across_split"),
                        Figure(*duplicates, "near_duplicates") -
                            Figure(*duplicates, "across_split"));
  absl::StrAppend(&out, Examples(duplicates->PathOf(kNearDuplicatesFile)));
  return out;
}

std::string Search(const DatasetView& view) {
  const auto neighbors = view.RecordOf("neighbors");
  if (!neighbors) return "";
  const auto recall = neighbors->figures.find("recall");
  if (recall == neighbors->figures.end()) {
    return "\nneighbours: exact, of all documents\n";
  }
  return absl::StrFormat(
      "\nneighbours: of %d in %d lists; %.1f %% of those of a sample found\n",
      Figure(*neighbors, "probes"), Figure(*neighbors, "lists"),
      100 * recall->second);
}

std::string Order(const DatasetView& view) {
  const auto order = view.RecordOf("order");
  if (!order) return "";
  const auto figure = [&](const std::string& name) {
    const auto found = order->figures.find(name);
    return found == order->figures.end() ? 0.0 : found->second;
  };
  return absl::StrFormat(
      "\norder: %s\n"
      "  %9.1f weight; %.1f at random, no order can exceed %.1f\n"
      "  %9.0f jumps\n"
      "  %9.1f documents in a chain; median %.0f, at most %.0f\n",
      view.manifest().order, figure("path_weight"), figure("random_weight"),
      figure("weight_bound"), figure("jumps"), figure("mean_chain"),
      figure("median_chain"), figure("longest_chain"));
}

std::string Contexts(DatasetView& view) {
  const absl::Status status = view.OpenVectors();
  if (!status.ok()) return absl::StrCat("\n", status.message(), "\n");
  const Coherence found = MeasureCoherence(view);
  return absl::StrFormat(
      "\ncontexts: %d, of %.1f documents\n"
      "  %9.3f cosine of documents side by side\n"
      "  %9.3f of any two in a context\n"
      "  %9.3f of two in contexts stored one after the other\n"
      "  %9.3f of two in any two contexts\n"
      "  %9.3f share of the main domain; %.1f %% have no other\n",
      found.contexts, found.documents_per_context, found.neighbors,
      found.inside, found.next, found.any, found.purity,
      100 * found.one_domain);
}

}  // namespace

absl::StatusOr<std::string> DatasetStats(const std::string& path) {
  LORY_ASSIGN_OR_RETURN(DatasetView view, DatasetView::Open(path));
  const data::DatasetManifest& manifest = view.manifest();
  return absl::StrCat(
      absl::StrFormat("dataset %s: %d documents, %d tokens, %d sequences of "
                      "%d\n",
                      manifest.name, manifest.document_count,
                      manifest.token_count, manifest.SequenceCount(),
                      view.context()),
      Input(view), Lengths(view.documents()), Search(view), Order(view),
      Contexts(view));
}

}  // namespace lory::corpus
