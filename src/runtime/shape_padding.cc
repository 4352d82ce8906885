#include "runtime/shape_padding.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tessera::runtime {
namespace {

constexpr std::size_t kAlignment = 64;

// Sizes are those of byte_size(), below half of what the type holds.
constexpr std::size_t aligned(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

std::size_t batch_dimensions(const Ticket& ticket) {
  return ticket.served->instance->signature.max_batch_size > 0 ? 1 : 0;
}

const ShapeBuckets& buckets_of(const Ticket& ticket) { return ticket.served->instance->config.shape_buckets; }

// What a response keeps alive whose outputs are cut.
struct CutMemory {
  std::shared_ptr<const void> whole;
  std::vector<std::vector<std::byte>> cut;
};

}  // namespace

Result<std::shared_ptr<const PaddedInputs>> pad_inputs(
    const InferRequest& request, const Ticket& ticket,
    const std::function<Result<std::shared_ptr<BodyMemory>>(Bytes)>& lease) {
  const ShapeBuckets& buckets = buckets_of(ticket);
  auto padded = std::make_shared<PaddedInputs>();
  std::size_t all = 0;
  std::vector<std::size_t> sizes;
  for (std::size_t i = 0; i < ticket.inputs.size(); ++i) {
    const TensorView& given = request.inputs[ticket.inputs[i]].tensor;
    padded->inputs.push_back(given);
    Shape& shape = padded->inputs.back().shape;
    shape = with_sizes(shape, buckets.inputs, i, ticket.bucket_sizes, batch_dimensions(ticket));
    std::size_t size = 0;  // of what is copied
    if (shape != given.shape) {
      TESSERA_ASSIGN_OR_RETURN(size, byte_size(given.dtype, shape));
    }
    sizes.push_back(size);
    if (__builtin_add_overflow(all, aligned(size), &all)) {
      return Error(ErrorCode::kTooLarge, "padded inputs that no memory holds");
    }
  }
  TESSERA_ASSIGN_OR_RETURN(const std::shared_ptr<BodyMemory> memory, lease(Bytes{all}));
  TESSERA_RETURN_IF_ERROR(memory->charge(Bytes{all}));
  std::span<std::byte> left = memory->bytes();
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] == 0) {
      continue;
    }
    const std::span<std::byte> to = left.first(sizes[i]);
    left = left.subspan(aligned(sizes[i]));
    TensorView& input = padded->inputs[i];
    fill_with(input.dtype, buckets.padding[i], to);
    copy_common(request.inputs[ticket.inputs[i]].tensor, input.shape, to);
    input.data = to;
  }
  padded->memory = memory;
  padded->copied = {all};
  padded->given = request.memory;
  return std::shared_ptr<const PaddedInputs>(std::move(padded));
}

Result<Bytes> cut_outputs(const Ticket& ticket, InferResponse& response) {
  const ShapeBuckets& buckets = buckets_of(ticket);
  std::shared_ptr<CutMemory> memory;
  Bytes copied;
  bool all_cut = true;
  for (std::size_t at = 0; at < response.outputs.size(); ++at) {
    OutputTensor& output = response.outputs[at];
    const std::size_t tensor = ticket.outputs[at];
    const std::size_t skip = batch_dimensions(ticket);
    for (const ShapeBuckets::Place& place : buckets.outputs) {
      const bool fits = output.tensor.shape.rank() > place.dim + skip &&
                        output.tensor.shape[place.dim + skip] == ticket.bucket_sizes[place.axis];
      if (place.tensor == tensor && !fits) {
        return internal_error("parameters.shape_buckets: output '" + output.name + "' of model '" +
                              ticket.served->instance->name + "' is " + output.tensor.shape.to_string() +
                              ": its dimension " + std::to_string(place.dim) + " is not the " +
                              std::to_string(ticket.bucket_sizes[place.axis]) + " of " + buckets.axes[place.axis].name);
      }
    }
    const Shape shape = with_sizes(output.tensor.shape, buckets.outputs, tensor, ticket.given_sizes, skip);
    if (shape == output.tensor.shape) {
      all_cut = false;
      continue;
    }
    if (memory == nullptr) {
      memory = std::make_shared<CutMemory>();
      memory->cut.resize(response.outputs.size());
    }
    TESSERA_ASSIGN_OR_RETURN(const std::size_t size, byte_size(output.tensor.dtype, shape));
    memory->cut[at].resize(size);
    copied.value += size;
    copy_common(output.tensor, shape, memory->cut[at]);
    output.tensor.shape = shape;
    output.tensor.data = memory->cut[at];
  }
  if (memory != nullptr) {
    memory->whole = all_cut ? nullptr : std::move(response.memory);
    response.memory = std::move(memory);
  }
  return copied;
}

}  // namespace tessera::runtime
