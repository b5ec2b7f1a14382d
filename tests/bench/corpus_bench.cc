// Figures of lory-corpus and of reading what it makes:
//
//   corpus_bench walk DOCUMENTS...
//       the greedy walk on made-up graphs, k = 10
//   corpus_bench knn [ROWS [DIMENSIONS [K]]]
//       exact neighbours beside FAISS's, all cores
//   corpus_bench ivf [ROWS [DIMENSIONS [K]]]
//       neighbours by lists beside FAISS's, all cores
//   corpus_bench memory [ROWS [DIMENSIONS [K]]]
//       of both searches in a mapped file
//   corpus_bench loader [SEQUENCES [LENGTH]]
//       opening shards, reading them shuffled
//   corpus_bench tokenize LINES TOKENIZER
//       ingest and tokenize, all cores
//
// One thread but where it says all cores. Prints a line a figure, with
// processor time beside the wall's: the second is the one to trust on a busy
// machine.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/check.h"
#include "common/base/clock.h"
#include "common/base/random.h"
#include "common/data/dataset.h"
#include "common/data/sequence_order.h"
#include "common/data/shard_file.h"
#include "common/io/storage.h"
#include "common/text/tokenizer.h"
#include "tests/bench/neighbor_figures.h"
#include "tools/corpus/ingest.h"
#include "tools/corpus/tokenize.h"
#include "tools/corpus/walk.h"

namespace lory::corpus {
namespace {

constexpr int32_t kNeighbors = 10;

// Wall and processor seconds since it was made.
class Stopwatch {
 public:
  double wall() const {
    const std::chrono::duration<double> passed =
        std::chrono::steady_clock::now() - start_;
    return passed.count();
  }
  double processor() const {
    return static_cast<double>(std::clock() - processor_) / CLOCKS_PER_SEC;
  }

 private:
  const std::chrono::steady_clock::time_point start_ =
      std::chrono::steady_clock::now();
  const std::clock_t processor_ = std::clock();
};

// VmRSS or VmHWM of this process.
int64_t KibibytesOf(const std::string& name) {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (!absl::StartsWith(line, name)) continue;
    return std::atoll(line.c_str() + name.size() + 1);
  }
  return 0;
}

// Begins the high-water mark anew.
void ForgetPeak() { std::ofstream("/proc/self/clear_refs") << "5"; }

// Documents stand on a line in an order that nobody is told; each lists ten of
// the eighty around it, so that about as many list it as it lists and few of
// them are the same. Every access is to a place of its own, as in a real one.
std::vector<Neighbor> MadeUpGraph(int64_t count) {
  const data::SequenceOrder order(1, 0, count);
  std::vector<int32_t> at(count);
  for (int64_t i = 0; i < count; ++i) {
    at[i] = static_cast<int32_t>(order.At(i));
  }
  std::vector<Neighbor> graph(count * kNeighbors);
  Random random(1);
  for (int64_t place = 0; place < count; ++place) {
    std::vector<Neighbor> list;
    while (list.size() < kNeighbors) {
      const int64_t step = 1 + static_cast<int64_t>(random.Below(40));
      const int64_t other = random.Below(2) == 0 ? place - step : place + step;
      if (other < 0 || other >= count) continue;
      const uint64_t pair = Mix64(std::min(place, other) * 64 + step);
      const float similarity = 1 - static_cast<float>(step) / 50 -
                               static_cast<float>(pair % 1024) / 1e5f;
      const Neighbor neighbor = {at[other], similarity};
      if (std::find(list.begin(), list.end(), neighbor) == list.end()) {
        list.push_back(neighbor);
      }
    }
    std::sort(
        list.begin(), list.end(), [](const Neighbor& a, const Neighbor& b) {
          return a.similarity != b.similarity ? a.similarity > b.similarity
                                              : a.document < b.document;
        });
    std::copy(list.begin(), list.end(),
              graph.begin() + int64_t{at[place]} * kNeighbors);
  }
  return graph;
}

void WalkFigures(int64_t count) {
  const std::vector<Neighbor> graph = MadeUpGraph(count);
  const std::vector<uint8_t> dropped(count);
  ForgetPeak();
  const int64_t before = KibibytesOf("VmRSS:");
  const Stopwatch watch;
  const Walk walk = WalkSimilar(graph, kNeighbors, dropped, 1);
  const double wall = watch.wall(), processor = watch.processor();
  LORY_CHECK(static_cast<int64_t>(walk.order.size()) == count);
  std::printf(
      "walk documents=%ld seconds=%.2f documents_per_second=%.0f "
      "documents_per_processor_second=%.0f bytes_per_document=%.1f "
      "graph_bytes_per_document=%zu jumps=%ld\n",
      count, wall, count / wall, count / processor,
      1024.0 * (KibibytesOf("VmHWM:") - before) / static_cast<double>(count),
      kNeighbors * sizeof(Neighbor), walk.jumps());
  std::fflush(stdout);
}

// A folder that is gone with the program.
struct Scratch {
  Scratch() : path("/tmp/lory-corpus-bench-" + SecureRandomHex(8)) {}
  ~Scratch() {
    std::error_code error;
    std::filesystem::remove_all(path, error);
  }
  const std::string path;
};

std::string WriteDataset(const std::string& folder, int64_t count,
                         int32_t length) {
  constexpr int64_t kShards = 4;
  data::DatasetManifest manifest;
  manifest.name = "bench";
  manifest.order = "random";
  manifest.sequence_length = length;
  manifest.vocabulary_size = 8192;
  manifest.tokenizer_file = "tokenizer.json";
  manifest.tokenizer_sha256 = std::string(64, '0');
  manifest.document_count = 1;
  std::vector<int32_t> tokens(length + 1);
  for (int64_t shard = 0; shard < kShards; ++shard) {
    auto writer =
        data::ShardWriter::Create(absl::StrCat(folder, "/train-0000", shard),
                                  length + 1, manifest.vocabulary_size);
    LORY_CHECK(writer.ok());
    for (int64_t i = shard; i < count; i += kShards) {
      for (size_t j = 0; j < tokens.size(); ++j) {
        tokens[j] = static_cast<int32_t>(Mix64(i * 8192 + j) % 8192);
      }
      LORY_CHECK((*writer)->Append(tokens).ok());
    }
    auto entry = (*writer)->Finish();
    LORY_CHECK(entry.ok());
    manifest.shards.push_back(*std::move(entry));
  }
  manifest.token_count = count * (length + 1);
  const std::string path = folder + "/manifest.json";
  LORY_CHECK(io::LocalStorage()
                 .Write(path, data::SerializeDatasetManifest(manifest))
                 .ok());
  return path;
}

void LoaderFigures(int64_t count, int32_t length) {
  const Scratch scratch;
  const std::string path = WriteDataset(scratch.path, count, length);
  std::vector<double> opening;
  std::unique_ptr<data::Dataset> dataset;
  for (int i = 0; i < 9; ++i) {
    const Stopwatch watch;
    auto opened = data::Dataset::Open(path, /*verify_hashes=*/false);
    LORY_CHECK(opened.ok());
    opening.push_back(1000 * watch.wall());
    dataset = *std::move(opened);
  }
  std::sort(opening.begin(), opening.end());
  std::printf("open sequences=%ld milliseconds=%.1f (least %.1f, most %.1f)\n",
              count, opening[4], opening.front(), opening.back());
  std::vector<int64_t> tokens(length + 1);
  uint64_t sum = 0;
  for (int epoch = 0; epoch < 3; ++epoch) {
    const data::SequenceOrder order(7, epoch, count);
    const Stopwatch watch;
    for (int64_t i = 0; i < count; ++i) {
      LORY_CHECK(dataset->Read(order.At(i), tokens).ok());
      sum += static_cast<uint64_t>(tokens[i % length]);
    }
    const double wall = watch.wall(), processor = watch.processor();
    const double all = static_cast<double>(count) * (length + 1);
    std::printf(
        "loader epoch=%d sequences=%ld length=%d tokens_per_second=%.1fM "
        "tokens_per_processor_second=%.1fM\n",
        epoch, count, length, all / wall / 1e6, all / processor / 1e6);
  }
  if (sum == 0) std::printf("(nothing read)\n");
}

void TokenizeFigures(const std::string& lines, const std::string& tokenizer) {
  const Scratch scratch;
  std::FILE* const nowhere = std::fopen("/dev/null", "w");
  Progress progress(RealClock(), nowhere, false);
  const auto model = text::LoadTokenizer(tokenizer);
  LORY_CHECK(model.ok());
  const Stopwatch watch;
  const auto ingested =
      Ingest({{.path = lines}}, 0, scratch.path + "/ingest", progress);
  LORY_CHECK(ingested.ok());
  const double ingest = watch.wall(), ingest_processor = watch.processor();
  const auto store = DocumentStore::Open(scratch.path + "/ingest");
  LORY_CHECK(store.ok());
  const auto tokenized =
      Tokenize(*store, **model, scratch.path + "/tokens", progress);
  LORY_CHECK(tokenized.ok());
  const double all = watch.wall(), all_processor = watch.processor();
  const double megabytes = static_cast<double>(store->TextBytes()) / 1e6;
  std::printf(
      "tokenize megabytes=%.1f tokens=%.0f ingest_seconds=%.3f "
      "tokenize_seconds=%.3f seconds=%.3f processor_seconds=%.3f "
      "(ingest %.3f) megabytes_per_second=%.1f\n",
      megabytes, tokenized->figures.at("tokens"), ingest, all - ingest, all,
      all_processor, ingest_processor, megabytes / all);
  std::fclose(nowhere);
}

int Main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i, int64_t otherwise) {
    return argc > i ? std::atoll(argv[i]) : otherwise;
  };
  if (what == "walk") {
    for (int i = 2; i < argc; ++i) WalkFigures(number(i, 0));
    if (argc == 2) WalkFigures(1'000'000);
  } else if (what == "knn") {
    ExactFigures(number(2, 20'000), static_cast<int32_t>(number(3, 768)),
                 static_cast<int32_t>(number(4, 10)));
  } else if (what == "ivf") {
    ListFigures(number(2, 50'000), static_cast<int32_t>(number(3, 768)),
                static_cast<int32_t>(number(4, 10)));
  } else if (what == "memory") {
    MemoryFigures(number(2, 40'000), static_cast<int32_t>(number(3, 256)),
                  static_cast<int32_t>(number(4, 10)));
  } else if (what == "loader") {
    LoaderFigures(number(2, 1'000'000), static_cast<int32_t>(number(3, 256)));
  } else if (what == "tokenize" && argc == 4) {
    TokenizeFigures(argv[2], argv[3]);
  } else {
    std::fprintf(stderr,
                 "usage: corpus_bench walk [DOCUMENTS...] | knn|ivf|memory "
                 "[ROWS [DIMENSIONS [K]]] | loader [SEQUENCES [LENGTH]] | "
                 "tokenize LINES TOKENIZER\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace lory::corpus

int main(int argc, char** argv) { return lory::corpus::Main(argc, argv); }
