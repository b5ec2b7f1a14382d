#include "tests/bench/neighbor_figures.h"

#include <faiss/IndexFlat.h>
#include <faiss/IndexIVFFlat.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
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

// Seconds on the wall, and of all cores together: the second is the one to
// trust on a busy machine.
struct Seconds {
  double wall = 0;
  double processor = 0;

  Seconds operator+(const Seconds& other) const {
    return {wall + other.wall, processor + other.processor};
  }
};

Seconds Now() {
  const std::chrono::duration<double> wall =
      std::chrono::steady_clock::now().time_since_epoch();
  return {wall.count(), static_cast<double>(std::clock()) / CLOCKS_PER_SEC};
}

Seconds Since(const Seconds& start) {
  const Seconds now = Now();
  return {now.wall - start.wall, now.processor - start.processor};
}

Seconds Least(const Seconds& a, const Seconds& b) {
  return {std::min(a.wall, b.wall), std::min(a.processor, b.processor)};
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
Seconds FaissListSeconds(const std::vector<float>& rows, int32_t k,
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
  const Seconds start = Now();
  ByFaiss(index, rows, k);
  return Since(start);
}

}  // namespace

void ListFigures(int64_t count, int32_t dimensions, int32_t k) {
  const std::vector<float> table = MadeUpRows(count, dimensions);
  const RowSet rows(table, dimensions);
  const NeighborOptions options = {.k = k, .recall = kRecall};
  const int64_t lists = ListsFor(count);
  const RecallSample sample = TakeSample(rows, options);

  Seconds start = Now();
  const std::vector<float> middles = FindMiddles(rows, lists, 1);
  const RowSet middle_rows(middles, dimensions);
  const Seconds our_training = Since(start);
  const int64_t probes = ProbesFor(rows, middle_rows, sample, options);
  start = Now();
  Lists found;
  SearchLists(
      rows, middle_rows, probes, options, [](int64_t) {},
      [&](std::span<const Neighbor> some) {
        for (const Neighbor& one : some) found.push_back(one.document);
      });
  const Seconds ours = Since(start);
  int64_t hits = 0;
  for (size_t i = 0; i < sample.nearest.size(); ++i) {
    const auto row = found.begin() + int64_t{sample.rows[i / k]} * k;
    hits += std::count(row, row + k, sample.nearest[i].document) != 0;
  }
  const auto recall =
      static_cast<double>(hits) / static_cast<double>(sample.nearest.size());
  std::printf(
      "ivf rows=%ld dimensions=%d k=%d lists=%ld probes=%ld "
      "recall=%.4f training_seconds=%.2f (processor %.2f) seconds=%.2f "
      "(processor %.2f)\n",
      count, dimensions, k, lists, probes, recall, our_training.wall,
      our_training.processor, ours.wall, ours.processor);
  std::fflush(stdout);

  start = Now();
  faiss::IndexFlatIP quantizer(dimensions);
  faiss::IndexIVFFlat index(&quantizer, dimensions, lists,
                            faiss::METRIC_INNER_PRODUCT);
  index.train(count, table.data());
  const Seconds their_training = Since(start);
  start = Now();
  index.add(count, table.data());
  const Seconds adding = Since(start);
  const Seconds theirs = adding + FaissListSeconds(table, k, sample, index);
  std::printf(
      "ivf faiss probes=%zu training_seconds=%.2f (processor %.2f) "
      "seconds=%.2f (processor %.2f) ratio=%.2f with_training=%.2f "
      "processor_ratio=%.2f\n",
      index.nprobe, their_training.wall, their_training.processor, theirs.wall,
      theirs.processor, theirs.wall / ours.wall,
      (theirs + their_training).wall / (ours + our_training).wall,
      theirs.processor / ours.processor);
}

void ExactFigures(int64_t count, int32_t dimensions, int32_t k) {
  const std::vector<float> rows = MadeUpRows(count, dimensions);
  faiss::IndexFlatIP index(dimensions);
  index.add(count, rows.data());
  const double work = 2.0 * static_cast<double>(count) *
                      static_cast<double>(count) * dimensions / 1e9;
  Seconds ours = {1e9, 1e9}, theirs = {1e9, 1e9};
  Lists our_lists, their_lists;
  for (int turn = 0; turn < kTurns; ++turn) {
    Seconds start = Now();
    our_lists = ByOurs(rows, dimensions, k);
    const Seconds our_seconds = Since(start);
    start = Now();
    their_lists = ByFaiss(index, rows, k);
    const Seconds their_seconds = Since(start);
    std::printf(
        "knn rows=%ld dimensions=%d k=%d seconds=%.2f (%.0f GFLOP/s of "
        "a double loop; processor %.2f) faiss_seconds=%.2f (%.0f; processor "
        "%.2f)\n",
        count, dimensions, k, our_seconds.wall, work / our_seconds.wall,
        our_seconds.processor, their_seconds.wall, work / their_seconds.wall,
        their_seconds.processor);
    std::fflush(stdout);
    ours = Least(ours, our_seconds);
    theirs = Least(theirs, their_seconds);
  }
  std::printf("knn ratio=%.2f processor_ratio=%.2f recall=%.5f\n",
              theirs.wall / ours.wall, theirs.processor / ours.processor,
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
