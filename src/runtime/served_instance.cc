#include "runtime/served_instance.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "model/synthetic.h"

namespace tessera::runtime {
namespace {

bool chooses_shape(const ModelSignature& signature) {
  return std::any_of(signature.inputs.begin(), signature.inputs.end(), [](const TensorSpec& input) {
    const auto dims = input.shape.dims();
    return std::find(dims.begin(), dims.end(), -1) != dims.end();
  });
}

std::shared_ptr<ModelCounters> counters_of(const model::Instance& instance, const DeviceShape& device) {
  return std::make_shared<ModelCounters>(instance.name, instance.version, instance.signature.max_batch_size,
                                         instance.config.params, device, !instance.config.uncaptured.empty());
}

std::optional<ShapeId> shape_measured(const model::Instance& instance, bool dynamic, ShapeTable& shapes) {
  if (instance.config.shape_buckets.empty() || !dynamic) {
    return std::nullopt;
  }
  const ModelSignature largest = model::largest_shape(instance.config);
  if (model::has_free_dimensions(largest)) {
    return std::nullopt;
  }
  std::vector<std::int64_t> dims;
  for (const TensorSpec& input : largest.inputs) {
    const std::size_t at = dims.size();
    dims.resize(at + input.shape.rank() + 1);
    ShapeTable::put_row(input.shape.with_first(1), dims, at);
  }
  return shapes.intern(dims);
}

}  // namespace

ServedInstance::ServedInstance(std::shared_ptr<const model::Instance> loaded, const DeviceShape& device,
                               std::shared_ptr<ModelCounters> kept)
    : instance(std::move(loaded)),
      counters(kept != nullptr ? std::move(kept) : counters_of(*instance, device)),
      shapes_vary(chooses_shape(instance->signature)),
      dynamic_shapes(instance->signature.max_batch_size > 0 && shapes_vary),
      measured_shape(shape_measured(*instance, dynamic_shapes, shapes)),
      plans(device, instance->config.params.buckets, instance->config.params.lanes,
            instance->engine_model == nullptr || instance->engine_model->one_plan_per_slice()),
      last_used(now().time_since_epoch().count()) {}

}  // namespace tessera::runtime
