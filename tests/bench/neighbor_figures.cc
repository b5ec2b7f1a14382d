#include "tests/bench/neighbor_figures.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <vector>

#include "common/base/check.h"
#include "common/base/random.h"
#include "tools/corpus/array_file.h"
#include "tools/corpus/clusters.h"
#include "tools/corpus/exact_search.h"
#include "tools/corpus/list_search.h"

namespace lory::corpus {
namespace {

constexpr int kTurns = 3;
constexpr double kRecall = 0.95;

double SecondsSince(std::chrono::steady_clock::time_point start) {
  const std::chrono::duration<double> passed =
      std::chrono::steady_clock::now() - start;
  return passed.count();
}

// Memory of this process that is no file's.
int64_t OwnKibibytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("RssAnon:")) return std::atoll(line.c_str() + 8);
  }
  return 0;
}

// Near normal, by the sum of four.
float Noise(Random& random) {
  double sum = -2;
  for (int i = 0; i < 4; ++i) sum += random.NextDouble();
  return static_cast<float>(sum);
}

// As vectors of texts are: rows of few free numbers, in groups, seen in more
// dimensions, with a little noise.
std::vector<float> MadeUpRows(int64_t count, int32_t dimensions) {
  constexpr int kFree = 32;
  Random random(1);
  const auto numbers = [&](int64_t many) {
    std::vector<float> out(many);
    for (float& number : out) number = Noise(random);
    return out;
  };
  const int64_t groups = std::max<int64_t>(count / 100, 1);
  const std::vector<float> middles = numbers(groups * kFree);
  const std::vector<float> directions = numbers(int64_t{kFree} * dimensions);
  std::vector<float> rows = numbers(count * dimensions);
  for (int64_t i = 0; i < count; ++i) {
    float* const row = rows.data() + i * dimensions;
    const float* const group = middles.data() + random.Below(groups) * kFree;
    for (int f = 0; f < kFree; ++f) {
      const float free = group[f] + Noise(random) / 2;
      const float* const direction = directions.data() + f * dimensions;
      for (int32_t j = 0; j < dimensions; ++j)
        row[j] += 2 * free * direction[j];
    }
    double square = 0;
    for (int32_t j = 0; j < dimensions; ++j) square += double{row[j]} * row[j];
    for (int32_t j = 0; j < dimensions; ++j) {
      row[j] = static_cast<float>(row[j] / std::sqrt(square));
    }
  }
  return rows;
}

using Lists = std::vector<int32_t>;  // k documents a row

Lists ByFaiss(const faiss::Index& index, const std::vector<float>& rows,
              int32_t k) {
  const auto count = static_cast<int64_t>(rows.size()) / index.d;
  std::vector<float> similarities(count * (k + 1));
  std::vector<faiss::Index::idx_t> found(count * (k + 1));
  index.search(count, rows.data(), k + 1, similarities.data(), found.data());
  Lists lists;
  for (int64_t i = 0; i < count; ++i) {
    const auto row = std::span(found).subspan(i * (k + 1), k + 1);
    const auto self = std::find(row.begin(), row.end(), i);
    for (auto at = row.begin(); at != row.end(); ++at) {
      const bool left_out =
          at == self || (self == row.end() && at + 1 == row.end());
      if (!left_out) lists.push_back(static_cast<int32_t>(*at));
    }
  }
  return lists;
}

Lists ByOurs(const std::vector<float>& rows, int32_t dimensions, int32_t k) {
  Lists lists;
  SearchAll(
      RowSet(rows, dimensions), k, {}, [](int64_t) {},
      [&](std::span<const Neighbor> some) {
        for (const Neighbor& one : some) lists.push_back(one.document);
      });
  return lists;
}

// Of what `wanted` has, how much `found` has in the same row.
double Recall(const Lists& found, const Lists& wanted, int32_t k) {
  int64_t hits = 0;
  for (size_t i = 0; i < wanted.size(); ++i) {
    const auto row = found.begin() + static_cast<int64_t>(i) / k * k;
    hits += std::count(row, row + k, wanted[i]) != 0;
  }
  return static_cast<double>(hits) / static_cast<double>(wanted.size());
}

// FAISS's inverted file with as few probes as reach the recall.
double FaissListSeconds(const std::vector<float>& rows, int32_t k,
                        const RecallSample& sample,
                        faiss::IndexIVFFlat& index) {
  std::vector<float> asked;
  for (const int32_t row : sample.rows) {
    asked.insert(asked.end(), rows.begin() + int64_t{row} * index.d,
                 rows.begin() + int64_t{row + 1} * index.d);
  }
  const auto count = static_cast<int64_t>(sample.rows.size());
  std::vector<float> similarities(count * (k + 1));
  std::vector<faiss::Index::idx_t> found(count * (k + 1));
  for (index.nprobe = 1;; ++index.nprobe) {
    index.search(count, asked.data(), k + 1, similarities.data(), found.data());
    int64_t hits = 0;
    for (size_t i = 0; i < sample.nearest.size(); ++i) {
      const auto row = found.begin() + static_cast<int64_t>(i) / k * (k + 1);
      hits += std::count(row, row + k + 1, sample.nearest[i].document) != 0;
    }
    if (static_cast<double>(hits) >=
        kRecall * static_cast<double>(sample.nearest.size())) {
      break;
    }
  }
  const auto start = std::chrono::steady_clock::now();
  ByFaiss(index, rows, k);
  return SecondsSince(start);
}

}  // namespace

void ListFigures(int64_t count, int32_t dimensions, int32_t k) {
  const std::vector<float> table = MadeUpRows(count, dimensions);
  const RowSet rows(table, dimensions);
  const NeighborOptions options = {.k = k, .recall = kRecall};
  const int64_t lists = ListsFor(count);
  const RecallSample sample = TakeSample(rows, options);

  auto start = std::chrono::steady_clock::now();
  const std::vector<float> middles = FindMiddles(rows, lists, 1);
  const RowSet middle_rows(middles, dimensions);
  const double our_training = SecondsSince(start);
  const int64_t probes = ProbesFor(rows, middle_rows, sample, options);
  start = std::chrono::steady_clock::now();
  Lists found;
  SearchLists(
      rows, middle_rows, probes, options, [](int64_t) {},
      [&](std::span<const Neighbor> some) {
        for (const Neighbor& one : some) found.push_back(one.document);
      });
  const double ours = SecondsSince(start);
  int64_t hits = 0;
  for (size_t i = 0; i < sample.nearest.size(); ++i) {
    const auto row = found.begin() + int64_t{sample.rows[i / k]} * k;
    hits += std::count(row, row + k, sample.nearest[i].document) != 0;
  }
  const auto recall =
      static_cast<double>(hits) / static_cast<double>(sample.nearest.size());
  std::printf(
      "ivf rows=%ld dimensions=%d k=%d lists=%ld probes=%ld "
      "recall=%.4f training_seconds=%.2f seconds=%.2f\n",
      count, dimensions, k, lists, probes, recall, our_training, ours);
  std::fflush(stdout);

  start = std::chrono::steady_clock::now();
  faiss::IndexFlatIP quantizer(dimensions);
  faiss::IndexIVFFlat index(&quantizer, dimensions, lists,
                            faiss::METRIC_INNER_PRODUCT);
  index.train(count, table.data());
  const double their_training = SecondsSince(start);
  start = std::chrono::steady_clock::now();
  index.add(count, table.data());
  const double adding = SecondsSince(start);
  const double theirs = adding + FaissListSeconds(table, k, sample, index);
  std::printf(
      "ivf faiss probes=%zu training_seconds=%.2f seconds=%.2f "
      "ratio=%.2f with_training=%.2f\n",
      index.nprobe, their_training, theirs, theirs / ours,
      (theirs + their_training) / (ours + our_training));
}

void ExactFigures(int64_t count, int32_t dimensions, int32_t k) {
  const std::vector<float> rows = MadeUpRows(count, dimensions);
  faiss::IndexFlatIP index(dimensions);
  index.add(count, rows.data());
  const double work = 2.0 * static_cast<double>(count) *
                      static_cast<double>(count) * dimensions / 1e9;
  double ours = 1e9, theirs = 1e9;
  Lists our_lists, their_lists;
  for (int turn = 0; turn < kTurns; ++turn) {
    auto start = std::chrono::steady_clock::now();
    our_lists = ByOurs(rows, dimensions, k);
    const double our_seconds = SecondsSince(start);
    start = std::chrono::steady_clock::now();
    their_lists = ByFaiss(index, rows, k);
    const double their_seconds = SecondsSince(start);
    std::printf(
        "knn rows=%ld dimensions=%d k=%d seconds=%.2f (%.0f GFLOP/s of "
        "a double loop) faiss_seconds=%.2f (%.0f)\n",
        count, dimensions, k, our_seconds, work / our_seconds, their_seconds,
        work / their_seconds);
    std::fflush(stdout);
    ours = std::min(ours, our_seconds);
    theirs = std::min(theirs, their_seconds);
  }
  std::printf("knn ratio=%.2f recall=%.5f\n", theirs / ours,
              Recall(our_lists, their_lists, k));
}

void MemoryFigures(int64_t count, int32_t dimensions, int32_t k) {
  const std::string path = "/tmp/lory-rows-" + SecureRandomHex(8);
  {
    auto writer = ArrayWriter<float>::Create(path);
    LORY_CHECK(writer.ok());
    const std::vector<float> rows = MadeUpRows(count, dimensions);
    LORY_CHECK(writer->Append(rows).ok() && writer->Finish().ok());
  }
  const auto file = ArrayFile<float>::Open(path);
  LORY_CHECK(file.ok());
  const RowSet rows(file->values(), dimensions);
  for (const SearchMethod method :
       {SearchMethod::kExact, SearchMethod::kLists}) {
    const int64_t before = OwnKibibytes();
    std::atomic<int64_t> most = 0;
    const auto look = [&] {
      const int64_t now = OwnKibibytes();
      int64_t known = most;
      while (known < now && !most.compare_exchange_weak(known, now)) {
      }
    };
    const SearchReport report = SearchNeighbors(
        rows, {.k = k, .method = method, .memory_mb = 16},
        [&](int64_t) { look(); }, [&](std::span<const Neighbor>) { look(); });
    std::printf(
        "memory method=%s rows=%ld dimensions=%d k=%d probes=%ld "
        "vector_bytes_per_row=%d own_megabytes=%.1f bytes_per_row=%.0f\n",
        method == SearchMethod::kExact ? "exact" : "ivf", count, dimensions, k,
        report.probes, 4 * dimensions,
        static_cast<double>(most - before) / 1024,
        1024.0 * static_cast<double>(most - before) /
            static_cast<double>(count));
  }
  std::filesystem::remove(path);
}

}  // namespace lory::corpus
