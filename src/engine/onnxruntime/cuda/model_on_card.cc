#include "engine/onnxruntime/cuda/model_on_card.h"

#include <algorithm>
#include <utility>

#include "engine/onnxruntime/cuda/provider.h"

namespace tessera::engine {
namespace {

// Of addresses, of which there are plenty; memory is mapped into them as it is needed.
constexpr Bytes kSessionAddresses{std::uint64_t{16} << 30};

std::vector<std::optional<InputForm>> forms_of(const FileSignature& signature, const LoadOptions& options) {
  std::vector<std::optional<InputForm>> forms;
  for (const TensorSpec& input : signature.inputs) {
    const auto found = options.input_forms.find(input.name);
    forms.push_back(found == options.input_forms.end() ? std::nullopt : std::optional(found->second));
  }
  return forms;
}

}  // namespace

ModelOnCard::ModelOnCard(std::shared_ptr<const CudaParts> parts, std::shared_ptr<ReplicaSet> replicas,
                         std::shared_ptr<const OptimizedFiles> files, const LoadOptions& options,
                         const FileSignature& signature, std::unique_ptr<device::DeviceRegion> region,
                         std::shared_ptr<device::MemoryBudget> budget)
    : parts_(std::move(parts)),
      replicas_(std::move(replicas)),
      files_(std::move(files)),
      budget_(std::move(budget)),
      session_memory_(*parts_->allocator, std::move(region)),
      facts_{.parts = parts_.get(),
             .signature = signature,
             .max_batch_size = options.max_batch_size,
             .forms = forms_of(signature, options),
             .kept = &*session_memory_} {}

Result<std::unique_ptr<ModelOnCard>> ModelOnCard::load(std::shared_ptr<const CudaParts> parts,
                                                       const LoadOptions& options, const FileSignature& signature) {
  auto budget = std::make_shared<device::MemoryBudget>(options.memory_limit);
  TESSERA_ASSIGN_OR_RETURN(std::unique_ptr<device::DeviceRegion> region,
                           device::DeviceRegion::reserve(parts->gpu, kSessionAddresses, budget));
  const OptimizedFor form = optimized_for(*parts, ProviderOptions{});
  auto replicas = parts->replicas->of(options.digest, form.key, options.cache_dir, parts->device.hardware());
  HeapSource& scratch = **parts->scratch;
  static_cast<void>(scratch.take_failure());
  auto files = replicas->files([&] {
    const WorkingAt loading(parts->loader_place(), **parts->scratch);
    return OptimizedFiles::make(*parts->environment, form, options.file, options.digest, options.cache_dir);
  });
  if (!files) {
    // Optimising takes the weights to the card, too; what ONNX Runtime makes of a full one tells less.
    const Status failure = scratch.take_failure();
    return failure.ok() ? files.error() : failure.error();
  }
  std::unique_ptr<ModelOnCard> made(new ModelOnCard(std::move(parts), replicas, *std::move(files), options, signature,
                                                    std::move(region),
                                                    std::move(budget)));  // NOLINT: the constructor is private
  TESSERA_ASSIGN_OR_RETURN(made->weights_,
                           DeviceWeights::make(made->parts(), *made->session_memory_, made->files(), *replicas));
  made->offer_ = std::make_unique<const ReplicaSet::Offer>(std::move(replicas), *made->weights_);
  return made;
}

MemoryUse ModelOnCard::memory() const {
  const std::uint64_t taken = budget_->taken().value;  // as it is mapped: a little more than is used
  const std::uint64_t kept = session_memory_->used().value;
  const std::uint64_t weights = weights_->bytes().value;
  return {.weights = {weights},
          .packed = {kept - std::min(kept, weights)},
          .working = {taken - std::min(taken, kept)},
          .per_home = {},
          .again = session_memory_->again()};
}

}  // namespace tessera::engine
