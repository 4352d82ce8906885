#include "engine/onnxruntime/onnx_model.h"

#include <malloc.h>

#include <utility>

#include "engine/onnxruntime/signature.h"

namespace tessera::engine {
namespace {

// What the process holds; others allocate too, so differences are estimates.
std::uint64_t memory_in_use(const Environment& environment) {
  const struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd + environment.run_memory()->in_use().value;
}

}  // namespace

OnnxModel::OnnxModel(OptimizedFiles files, std::unique_ptr<const SharedWeights> weights, device::HostTopology topology)
    : files_(std::move(files)), topology_(std::move(topology)), weights_(std::move(weights)) {}

Result<std::unique_ptr<LoadedModel>> OnnxModel::load(std::shared_ptr<const Environment> environment,
                                                     std::shared_ptr<CopyCounter> copies, device::HostTopology topology,
                                                     const LoadOptions& options,
                                                     std::vector<std::string> external_data) {
  TESSERA_ASSIGN_OR_RETURN(OptimizedFiles files, OptimizedFiles::make(*environment, optimized_for_host(), options.file,
                                                                      options.digest, options.cache_dir));
  TESSERA_ASSIGN_OR_RETURN(std::unique_ptr<const SharedWeights> weights, SharedWeights::map(*environment, files));
  std::unique_ptr<OnnxModel> model(
      new OnnxModel(std::move(files), std::move(weights), std::move(topology)));  // NOLINT: the constructor is private
  PlanFacts& facts = model->facts_;
  facts.max_batch_size = options.max_batch_size;
  facts.environment = std::move(environment);
  facts.copies = std::move(copies);
  TESSERA_ASSIGN_OR_RETURN(model->single_core_, model->make_seat({}));
  TESSERA_ASSIGN_OR_RETURN(facts.signature, read_signature(model->single_core_->session));
  facts.signature.external_data = std::move(external_data);
  for (const TensorSpec& input : facts.signature.inputs) {
    facts.input_names.push_back(input.name.c_str());
  }
  for (const TensorSpec& output : facts.signature.outputs) {
    facts.output_names.push_back(output.name.c_str());
  }
  model->per_home_ = 0;  // the first session's figure holds the packed weights, which later ones share
  return std::unique_ptr<LoadedModel>(std::move(model));
}

MemoryUse OnnxModel::memory() const {
  return {.weights = weights_->bytes(), .packed = {}, .working = {}, .per_home = {per_home_.load()}};
}

Result<std::unique_ptr<OnnxModel::Seat>> OnnxModel::make_seat(std::span<const int> helper_cpus) {
  const std::uint64_t before = memory_in_use(*facts_.environment);
  auto seat = std::make_unique<Seat>();
  auto made = guarded(Blame::kUs, [&] {
    Ort::SessionOptions options = facts_.environment->session_options();
    options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
    if (!helper_cpus.empty()) {
      seat->threads = std::make_unique<PinnedThreads>(helper_cpus);
      seat->threads->use_in(options);
    }
    weights_->add_to(options);
    seat->session = Ort::Session(facts_.environment->env(), files_.graph().c_str(), options, weights_->prepacked());
  });
  if (!made) {
    return made.error().in("making a session");
  }
  seat->plan = std::make_unique<OnnxPlan>(facts_, seat->session);
  // Packing weights that turn out to be there already leaves freed memory behind.
  malloc_trim(0);
  weights_->drop_pages();
  const std::uint64_t after = memory_in_use(*facts_.environment);
  per_home_ = after > before ? after - before : 0;
  return seat;
}

Result<const device::Plan*> OnnxModel::prepare_home(std::int32_t /*bucket*/, LaneIndex /*lane*/, const Slice& slice) {
  const std::lock_guard lock(mutex_);
  if (slice.count <= 1) {
    return static_cast<const device::Plan*>(single_core_->plan.get());
  }
  std::unique_ptr<Seat>& seat = larger_[slice];
  if (!seat) {
    TESSERA_ASSIGN_OR_RETURN(seat, make_seat(topology_.helper_cpus(slice)));
  }
  return static_cast<const device::Plan*>(seat->plan.get());
}

}  // namespace tessera::engine
