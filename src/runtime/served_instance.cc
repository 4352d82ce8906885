#include "runtime/served_instance.h"

#include <algorithm>
#include <utility>

namespace tessera::runtime {
namespace {

bool chooses_shape(const ModelSignature& signature) {
  return std::any_of(signature.inputs.begin(), signature.inputs.end(), [](const TensorSpec& input) {
    const auto dims = input.shape.dims();
    return std::find(dims.begin(), dims.end(), -1) != dims.end();
  });
}

}  // namespace

ServedInstance::ServedInstance(std::shared_ptr<const model::Instance> loaded, const DeviceShape& device)
    : instance(std::move(loaded)),
      counters(std::make_shared<ModelCounters>(instance->name, instance->version, instance->signature.max_batch_size,
                                               instance->config.params, device)),
      shapes_vary(chooses_shape(instance->signature)),
      dynamic_shapes(instance->signature.max_batch_size > 0 && shapes_vary),
      plans(device, instance->config.params.buckets, instance->config.params.lanes,
            instance->engine_model->one_plan_per_slice()) {}

}  // namespace tessera::runtime
