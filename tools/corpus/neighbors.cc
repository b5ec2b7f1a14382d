#include "tools/corpus/neighbors.h"

#include <algorithm>
#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status_macros.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/list_search.h"

namespace lory::corpus {
namespace {

std::map<std::string, double> FiguresOf(const SearchReport& report) {
  if (report.lists == 0) return {};
  return {{"lists", static_cast<double>(report.lists)},
          {"probes", static_cast<double>(report.probes)},
          {"recall", report.recall}};
}

std::string Describe(const SearchReport& report) {
  if (report.lists == 0) return "";
  return absl::StrFormat(
      "; %d of %d lists looked through, %.1f %% of a sample's neighbours found",
      report.probes, report.lists, 100 * report.recall);
}

}  // namespace

std::vector<int32_t> NumbersWithout(std::span<const uint8_t> held_out) {
  std::vector<int32_t> documents;
  for (size_t i = 0; i < held_out.size(); ++i) {
    if (!held_out[i]) documents.push_back(static_cast<int32_t>(i));
  }
  return documents;
}

nlohmann::ordered_json StageOptionsOf(const NeighborOptions& options,
                                      int64_t documents) {
  nlohmann::ordered_json json = {
      {"k", options.k}, {"metric", std::string(NameOf(options.metric))}};
  if (IsExact(options, documents)) return json;
  json["lists"] = options.lists;
  json["probes"] = options.probes;
  json["recall"] = options.recall;
  json["recall_sample"] = options.recall_sample;
  json["seed"] = options.seed;
  return json;
}

absl::StatusOr<StageResult> Neighbors(std::span<const float> vectors,
                                      std::span<const uint8_t> held_out,
                                      int32_t dimensions,
                                      const NeighborOptions& options,
                                      const std::string& folder,
                                      Progress& progress) {
  const std::vector<int32_t> documents = NumbersWithout(held_out);
  const RowSet rows(vectors, dimensions, documents);
  const int64_t count = rows.count();
  const int64_t k = options.k;
  progress.Start("neighbors", count, "documents");
  LORY_ASSIGN_OR_RETURN(auto file, ArrayWriter<Neighbor>::Create(absl::StrCat(
                                       folder, "/", kNeighborsFile)));
  absl::Status written;
  double nearest = 0;
  const SearchReport report = SearchNeighbors(
      rows, options, [&](int64_t done) { progress.Advance(done); },
      [&](std::span<const Neighbor> lists) {
        for (size_t i = 0; i < lists.size(); i += k) {
          nearest += lists[i].similarity;
        }
        if (written.ok()) written = file.Append(lists);
      });
  LORY_RETURN_IF_ERROR(written);
  LORY_RETURN_IF_ERROR(file.Finish());
  nearest /= static_cast<double>(std::max<int64_t>(count, 1));
  std::map<std::string, double> figures = FiguresOf(report);
  figures["documents"] = static_cast<double>(count);
  figures["nearest"] = nearest;
  return StageResult{
      {kNeighborsFile},
      std::move(figures),
      absl::StrFormat(
          "%d of %d documents each, the nearest %.3f on average%s%s",
          std::min<int64_t>(k, count - 1), count, nearest,
          k < count ? "" : absl::StrCat(" (k is ", k, ", more than there are)"),
          Describe(report))};
}

}  // namespace lory::corpus
