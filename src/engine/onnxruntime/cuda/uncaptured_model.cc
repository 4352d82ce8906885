#include "engine/onnxruntime/cuda/uncaptured_model.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tessera::engine {
namespace {

// What runs may take, whatever the model's own limit is: shapes are the requests' choice. Mapped as it is needed.
constexpr Bytes kMostRunMemory{std::uint64_t{4} << 30};

// The session for all buckets.
constexpr std::int32_t kAnyShape = 0;

Status check_tensors(const std::string& what, const std::vector<TensorSpec>& specs) {
  for (const TensorSpec& spec : specs) {
    if (spec.dtype == DType::kBytes) {
      return unsupported(what + " '" + spec.name + "' is of BYTES, which the CUDA provider does not compute with");
    }
  }
  return ok_status();
}

bool is_fixed(const FileSignature& signature, bool batches) {
  return std::all_of(signature.inputs.begin(), signature.inputs.end(), [&](const TensorSpec& input) {
    const auto dims = input.shape.dims();
    return std::all_of(dims.begin() + (batches ? 1 : 0), dims.end(), [](std::int64_t dim) { return dim >= 0; });
  });
}

}  // namespace

// Of one bucket.
class UncapturedModel::RunPlan final : public device::WorkerPlan {
 public:
  RunPlan(UncapturedModel& model, std::int32_t bucket)
      : WorkerPlan(*model.worker_, model.slice_), model_(model), bucket_(bucket) {}

 private:
  Status run(CUstream /*stream*/, Batch& batch) const override { return model_.run(bucket_, batch); }

  UncapturedModel& model_;
  const std::int32_t bucket_;
};

UncapturedModel::UncapturedModel(std::unique_ptr<const ModelOnCard> on_card, const LoadOptions& options,
                                 const Slice& slice, std::shared_ptr<device::StreamWorker> worker,
                                 std::unique_ptr<device::DeviceRegion> memory)
    : on_card_(std::move(on_card)),
      fixed_shapes_(is_fixed(facts().signature, options.max_batch_size > 0)),
      // With free shapes a search would come again whenever they change, while somebody waits.
      options_{.timed_search = options.timed_choices && fixed_shapes_},
      slice_(slice),
      worker_(std::move(worker)),
      memory_(*parts().allocator, std::move(memory)),
      place_{worker_->stream(), &*memory_} {}

UncapturedModel::~UncapturedModel() {
  plans_.clear();
  static_cast<void>(worker_->call([this] {
    sessions_.clear();
    return ok_status();
  }));
}

Result<std::unique_ptr<LoadedModel>> UncapturedModel::load(std::shared_ptr<const CudaParts> parts,
                                                           const LoadOptions& options, const FileSignature& signature,
                                                           const Slice& slice) {
  TESSERA_RETURN_IF_ERROR(check_tensors("input", signature.inputs));
  TESSERA_RETURN_IF_ERROR(check_tensors("output", signature.outputs));
  if (!options.input_forms.empty()) {
    return unsupported(
        "parameters.convert_inputs: inputs are converted in captured plans, and the model cannot be captured");
  }
  TESSERA_ASSIGN_OR_RETURN(auto worker, parts->device.worker_of(slice));
  TESSERA_ASSIGN_OR_RETURN(auto on_card, ModelOnCard::load(std::move(parts), options, signature));
  TESSERA_ASSIGN_OR_RETURN(auto memory,
                           device::DeviceRegion::reserve(on_card->parts().gpu, kMostRunMemory, on_card->budget()));
  return std::unique_ptr<LoadedModel>(new UncapturedModel(std::move(on_card), options, slice, std::move(worker),
                                                          std::move(memory)));  // NOLINT: private
}

Result<const device::Plan*> UncapturedModel::prepare_home(std::int32_t bucket, LaneIndex lane, const Slice& slice) {
  if (slice != slice_ || lane.value != 0) {
    return unsupported("the model runs in one slice and one lane only, since it cannot be captured");
  }
  std::unique_ptr<RunPlan>& plan = plans_[bucket];
  if (plan == nullptr) {
    TESSERA_RETURN_IF_ERROR(worker_->call([&] { return warm(bucket); }));
    plan = std::make_unique<RunPlan>(*this, bucket);
  }
  return static_cast<const device::Plan*>(plan.get());
}

Result<Ort::Session*> UncapturedModel::session_for(std::int32_t bucket) {
  const std::int32_t key = fixed_shapes_ ? bucket : kAnyShape;
  const auto found = sessions_.find(key);
  if (found != sessions_.end()) {
    return &found->second;
  }
  SessionSource& kept = *facts().kept;
  kept.begin_session();
  const WorkingAt making(place_, kept);
  auto session = guarded(Blame::kUs, [&] {
    Ort::SessionOptions options = parts().environment->session_options();
    options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
    add_provider(parts(), place_.stream, options_, options);
    on_card_->weights().add_to(options);
    return Ort::Session(parts().environment->env(), on_card_->files().graph().c_str(), options);
  });
  if (!session) {
    const Status failure = kept.take_failure();
    return failure.ok() ? session.error().in("making a session") : failure.error();
  }
  return &sessions_.emplace(key, std::move(session).value()).first->second;
}

// Where shapes vary there is nothing to run yet.
Status UncapturedModel::warm(std::int32_t bucket) {
  TESSERA_RETURN_IF_ERROR(session_for(bucket));
  if (!fixed_shapes_) {
    return ok_status();
  }
  Batch nothing{.rows = 0, .bucket = bucket, .inputs = {}, .outputs = {}, .output_memory = {}};
  for (const TensorSpec& input : facts().signature.inputs) {
    const Shape row = facts().max_batch_size > 0 ? input.shape.without_first() : input.shape;
    nothing.inputs.push_back({.dtype = input.dtype, .row_shape = row, .parts = {}});
  }
  for (int i = 0; i < kFirstRuns; ++i) {
    TESSERA_RETURN_IF_ERROR(run(bucket, nothing));
  }
  return ok_status();
}

Status UncapturedModel::run(std::int32_t bucket, Batch& batch) {
  const bool batches = facts().max_batch_size > 0;
  const std::int32_t rows = !batches ? 1 : fixed_shapes_ ? bucket : batch.rows;
  if (batch.inputs.size() != facts().signature.inputs.size() || batch.rows > rows) {
    return internal_error("a batch of " + std::to_string(batch.rows) + " rows and " +
                          std::to_string(batch.inputs.size()) + " inputs does not fit its plan");
  }
  std::vector<Input> inputs;
  const auto all = [&]() -> Status {
    TESSERA_RETURN_IF_ERROR(lay_out(rows, batch, inputs));
    TESSERA_ASSIGN_OR_RETURN(const std::vector<Ort::Value> outputs, compute(bucket, inputs));
    Status taken = take_out(rows, outputs, batch);
    const Status ended = worker_->wait();  // before the outputs' memory goes
    return taken.ok() ? ended : taken;
  };
  Status ran = all();
  if (!ran.ok()) {
    static_cast<void>(worker_->wait());
  }
  release(inputs);
  return ran;
}

Status UncapturedModel::lay_out(std::int32_t rows, const Batch& batch, std::vector<Input>& inputs) {
  for (std::size_t i = 0; i < batch.inputs.size(); ++i) {
    const TensorSpec& spec = facts().signature.inputs[i];
    const Shape& row = batch.inputs[i].row_shape;
    Input input{.spec = &spec, .shape = facts().max_batch_size > 0 ? row.with_first(rows) : row};
    TESSERA_ASSIGN_OR_RETURN(input.bytes, byte_size(spec.dtype, input.shape));
    TESSERA_ASSIGN_OR_RETURN(input.at, memory_->allocate(std::max<std::size_t>(input.bytes, 1)));
    inputs.push_back(input);
    TESSERA_RETURN_IF_ERROR(fill(batch.inputs[i], input));
  }
  return ok_status();
}

// The rows that are there, then zeros.
Status UncapturedModel::fill(const BatchInput& from, const Input& to) const {
  const device::Driver& driver = parts().driver();
  std::size_t at = 0;
  for (std::size_t p = 0; p < from.parts.size(); ++p) {
    const auto& part = from.parts[p];
    if (at + part.size() > to.bytes) {
      return internal_error("a batch's input '" + to.spec->name + "' has too many bytes");
    }
    const auto slot = p < from.copied.size() && from.copied[p] ? parts().device.slot_of(part) : std::nullopt;
    const CUresult copied = slot ? driver.memcpy_dtod_async(to.at + at, *slot, part.size(), place_.stream)
                                 : driver.memcpy_htod_async(to.at + at, part.data(), part.size(), place_.stream);
    TESSERA_RETURN_IF_ERROR(driver.check(copied, "copy an input to the card"));
    at += part.size();
  }
  return at == to.bytes
             ? ok_status()
             : driver.check(driver.memset_d8_async(to.at + at, 0, to.bytes - at, place_.stream), "clear padding");
}

Result<std::vector<Ort::Value>> UncapturedModel::compute(std::int32_t bucket, const std::vector<Input>& inputs) {
  TESSERA_ASSIGN_OR_RETURN(Ort::Session * session, session_for(bucket));
  const WorkingAt running(place_, *memory_);
  auto ran = guarded(Blame::kRequest, [&] {
    Ort::IoBinding io(*session);
    for (const Input& input : inputs) {
      const auto dims = input.shape.dims();
      io.BindInput(input.spec->name.c_str(),
                   Ort::Value::CreateTensor(parts().allocator->info(), reinterpret_cast<void*>(input.at), input.bytes,
                                            dims.data(), dims.size(), to_onnx_type(input.spec->dtype)));
    }
    const Ort::ConstMemoryInfo card(parts().allocator->info());
    for (const TensorSpec& output : facts().signature.outputs) {
      io.BindOutput(output.name.c_str(), card);
    }
    session->Run(Ort::RunOptions(), io);
    return io.GetOutputValues();
  });
  if (ran.ok()) {
    return ran;
  }
  const Status failure = memory_->take_failure();
  return failure.ok() ? ran.error() : failure.error();
}

// What padding gave is left out.
Status UncapturedModel::take_out(std::int32_t rows, const std::vector<Ort::Value>& outputs, Batch& batch) const {
  const device::Driver& driver = parts().driver();
  const bool batches = facts().max_batch_size > 0;
  std::vector<Shape> shapes;
  std::vector<std::size_t> sizes;
  std::size_t room = 0;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const TensorSpec& spec = facts().signature.outputs[i];
    TESSERA_ASSIGN_OR_RETURN(Shape shape, Shape::from(outputs[i].GetTensorTypeAndShapeInfo().GetShape()));
    if (batches && (shape.rank() == 0 || shape[0] != rows)) {
      return invalid_argument("output '" + spec.name + "' has shape " + shape.to_string() + " for a batch of " +
                              std::to_string(rows));
    }
    shapes.push_back(batches ? shape.without_first().with_first(batch.rows) : shape);
    TESSERA_ASSIGN_OR_RETURN(sizes.emplace_back(), byte_size(spec.dtype, shapes.back()));
    room += batch_aligned(sizes.back());
  }
  TESSERA_ASSIGN_OR_RETURN(std::shared_ptr<device::StagingBlock> block,
                           parts().device.staging().lease({std::max(room, kBatchAlignment)}));
  std::byte* to = block->bytes().data();
  batch.output_memory = std::move(block);  // until the copies have ended, also where one cannot be queued
  batch.outputs.clear();
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (sizes[i] > 0) {
      const auto from = reinterpret_cast<CUdeviceptr>(outputs[i].GetTensorRawData());
      TESSERA_RETURN_IF_ERROR(
          driver.check(driver.memcpy_dtoh_async(to, from, sizes[i], place_.stream), "copy an output"));
    }
    batch.outputs.push_back({facts().signature.outputs[i].dtype, shapes[i], {to, sizes[i]}});
    to += batch_aligned(sizes[i]);
  }
  return ok_status();
}

void UncapturedModel::release(const std::vector<Input>& inputs) {
  for (const Input& input : inputs) {
    memory_->release(input.at);
  }
}

}  // namespace tessera::engine
