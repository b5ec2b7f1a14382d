#include "worker/model/parameter_store.h"

#include <ATen/core/grad_mode.h>
#include <ATen/ops/zeros.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/check.h"

namespace lory::model {
namespace {

int64_t AlignUp(int64_t offset) {
  constexpr int64_t kAlignment = ParameterStore::kAlignment;
  return (offset + kAlignment - 1) / kAlignment * kAlignment;
}

int64_t FlatSize(std::span<const lory::config::ParameterShape> shapes) {
  int64_t size = 0;
  for (const auto& shape : shapes) size = AlignUp(size + shape.element_count());
  return size;
}

at::Tensor View(const at::Tensor& flat, int64_t offset, at::IntArrayRef sizes) {
  return flat.narrow(0, offset, c10::multiply_integers(sizes)).view(sizes);
}

}  // namespace

ParameterStore::ParameterStore(
    std::span<const lory::config::ParameterShape> shapes, at::ScalarType type) {
  at::NoGradGuard no_grad;
  const int64_t size = FlatSize(shapes);
  flat_values_ = at::zeros({size}, type);
  flat_gradients_ = at::zeros({size}, type);
  int64_t offset = 0;
  for (const auto& shape : shapes) {
    // detach: a leaf of its own that shares the storage.
    at::Tensor value = View(flat_values_, offset, shape.sizes).detach();
    value.set_requires_grad(true);
    index_by_name_[shape.name] = parameters_.size();
    parameters_.push_back({shape.name, value, shape.decays, offset});
    offset = AlignUp(offset + shape.element_count());
  }
  ZeroGradients();
}

const Parameter* ParameterStore::Find(absl::string_view name) const {
  const auto found = index_by_name_.find(name);
  return found == index_by_name_.end() ? nullptr : &parameters_[found->second];
}

const at::Tensor& ParameterStore::Get(absl::string_view name) const {
  const Parameter* parameter = Find(name);
  LORY_CHECK(parameter != nullptr);
  return parameter->value;
}

at::Tensor ParameterStore::ViewOf(const at::Tensor& flat,
                                  const Parameter& parameter) {
  return View(flat, parameter.offset, parameter.value.sizes());
}

void ParameterStore::ZeroGradients() {
  at::NoGradGuard no_grad;
  flat_gradients_.zero_();
  for (Parameter& parameter : parameters_) {
    // Autograd adds in place to a gradient that is there, so it stays a view.
    parameter.value.mutable_grad() = ViewOf(flat_gradients_, parameter);
  }
}

NamedTensors ParameterStore::NamedValues() const {
  at::NoGradGuard no_grad;
  NamedTensors named;
  for (const Parameter& parameter : parameters_) {
    named.emplace_back(absl::StrCat("param/", parameter.name),
                       ViewOf(flat_values_, parameter));
  }
  return named;
}

}  // namespace lory::model
