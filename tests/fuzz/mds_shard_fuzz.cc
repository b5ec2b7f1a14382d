// A shard of an MDS dataset, in samples of a text, a number, a domain and an
// array: samples together are the shard but for its header, and what is read
// out of one lies in it.
#include <cstring>

#include "tests/fuzz/fuzz.h"
#include "tools/corpus/mds_sample.h"
#include "tools/corpus/mds_shard.h"

namespace lory::corpus {
namespace {

using absl::StatusCode;

bool LiesIn(absl::string_view part, absl::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() &&
          part.data() + part.size() <= whole.data() + whole.size());
}

void CheckSample(const MdsSampleReader& reader, absl::string_view sample) {
  const auto document = reader.Read(sample);
  fuzz::CheckError(document.status(), {StatusCode::kInvalidArgument});
  if (!document.ok()) return;
  LORY_CHECK(LiesIn(document->bytes, sample));
  LORY_CHECK(document->domain.empty() || IsDomainName(document->domain));
  if (!document->type) return;
  std::vector<int32_t> ids;
  fuzz::CheckError(AppendTokens(document->bytes, *document->type, 1000, &ids),
                   {StatusCode::kInvalidArgument});
}

MdsSampleReader ReaderOf(const std::vector<MdsColumn>& columns,
                         const char* tokens) {
  CorpusInput input;
  input.keys.tokens = tokens;
  auto reader = MdsSampleReader::Create(columns, input);
  LORY_CHECK(reader.ok());
  return *std::move(reader);
}

}  // namespace

LORY_FUZZ(bytes) {
  static const std::vector<MdsColumn> columns = {{"any", "ndarray", 0},
                                                 {"domain", "str", 0},
                                                 {"id", "int", 8},
                                                 {"pair", "ndarray:int32:2", 8},
                                                 {"short", "ndarray:uint16", 0},
                                                 {"text", "str", 0}};
  static const MdsSampleReader readers[] = {
      ReaderOf(columns, ""), ReaderOf(columns, "any"),
      ReaderOf(columns, "pair"), ReaderOf(columns, "short")};
  MdsShard shard = {.name = "a.mds", .columns = columns};
  shard.path = fuzz::Folder().Write("a.mds", bytes);
  shard.raw_bytes = static_cast<int64_t>(bytes.size());
  uint32_t samples = 0;  // an index that agrees
  std::memcpy(&samples, bytes.data(), std::min(bytes.size(), sizeof(samples)));
  shard.samples = samples;
  const auto reader = MdsShardReader::Open(shard);
  fuzz::CheckError(reader.status(), {StatusCode::kDataLoss});
  if (!reader.ok()) return;
  std::string all;
  while (true) {
    const auto sample = (*reader)->Next();
    LORY_CHECK(sample.ok());
    if (!*sample) break;
    for (const MdsSampleReader& one : readers) CheckSample(one, **sample);
    all.append((*sample)->data(), (*sample)->size());
  }
  LORY_CHECK(bytes.substr(bytes.size() - all.size()) == all);
}

}  // namespace lory::corpus
