#ifndef LORY_COMMON_BASE_IDS_H_
#define LORY_COMMON_BASE_IDS_H_

#include <compare>
#include <cstdint>
#include <string>
#include <utility>

// Names and numbers that must not be mixed up, each its own type.
namespace lory {

// A number with a meaning. `value` is public: these are labels, not objects.
template <typename Tag>
struct Number {
  int64_t value = 0;
  auto operator<=>(const Number&) const = default;
  Number Next() const { return {value + 1}; }
};

// A resource's short id, the last part of its name: "tiny" of "jobs/tiny".
template <typename Tag>
struct Id {
  std::string value;
  auto operator<=>(const Id&) const = default;
  bool empty() const { return value.empty(); }
};

// Membership number of a job: the fencing token. 0: none yet.
using Generation = Number<struct GenerationTag>;
// Optimizer steps applied.
using Step = Number<struct StepTag>;
// Place in a generation, 0 to world - 1.
using Rank = Number<struct RankTag>;
// Lease of consecutive steps to a generation. 0: none yet.
using RoundId = Number<struct RoundTag>;

using JobId = Id<struct JobTag>;
using WorkerId = Id<struct WorkerTag>;
using DatasetId = Id<struct DatasetTag>;

template <typename Tag>
std::string ToString(Number<Tag> number) {
  return std::to_string(number.value);
}
template <typename Tag>
const std::string& ToString(const Id<Tag>& id) {
  return id.value;
}

template <typename H, typename Tag>
H AbslHashValue(H state, const Number<Tag>& number) {
  return H::combine(std::move(state), number.value);
}
template <typename H, typename Tag>
H AbslHashValue(H state, const Id<Tag>& id) {
  return H::combine(std::move(state), id.value);
}

}  // namespace lory

#endif  // LORY_COMMON_BASE_IDS_H_
