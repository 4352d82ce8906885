#include "engine/onnxruntime/cuda/bound_session.h"

#include <onnxruntime_run_options_config_keys.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "device/cuda/homed_graph.h"

namespace tessera::engine {
namespace {

constexpr int kTimedRuns = 7;

Status no_memory(MemorySource& memory, const Error& otherwise) {
  Status failure = memory.take_failure();
  return failure.ok() ? Status(otherwise) : failure;
}

}  // namespace

Result<std::unique_ptr<BoundSession>> BoundSession::make(const SessionFacts& facts, const OptimizedFiles& files,
                                                         const DeviceWeights& weights, std::int32_t bucket,
                                                         const ProviderOptions& choice) {
  std::unique_ptr<BoundSession> made(new BoundSession(facts, bucket, choice));  // NOLINT: the constructor is private
  SessionSource& memory = *facts.kept;
  memory.begin_session();
  const WorkingAt loading(facts.parts->loader_place(), memory);
  auto session = guarded(Blame::kUs, [&] {
    Ort::SessionOptions options = facts.parts->environment->session_options();
    options.SetGraphOptimizationLevel(ORT_DISABLE_ALL);
    add_provider(*facts.parts, facts.parts->device.build_stream(), choice, options);
    weights.add_to(options);
    return Ort::Session(facts.parts->environment->env(), files.graph().c_str(), options);
  });
  if (!session) {
    return no_memory(memory, session.error().in("making a session")).error();
  }
  made->session_ = std::move(session).value();
  return made;
}

Ort::Value BoundSession::value(const BoundTensor& tensor) const {
  const auto dims = tensor.shape.dims();
  return Ort::Value::CreateTensor(facts_.parts->allocator->info(), reinterpret_cast<void*>(tensor.at),
                                  tensor.bytes(rows()), dims.data(), dims.size(), to_onnx_type(tensor.spec->dtype));
}

Result<std::vector<BoundTensor>> BoundSession::bind_all(const std::vector<TensorSpec>& specs,
                                                        const std::vector<Shape>& shapes, HeapSource& memory) const {
  std::vector<BoundTensor> bound;
  for (std::size_t i = 0; i < specs.size(); ++i) {
    BoundTensor tensor{.spec = &specs[i], .shape = shapes[i], .row = {}, .at = 0};
    TESSERA_ASSIGN_OR_RETURN(const std::size_t bytes, byte_size(specs[i].dtype, shapes[i]));
    tensor.row = {facts_.max_batch_size > 0 ? bytes / static_cast<std::size_t>(bucket_) : bytes};
    TESSERA_ASSIGN_OR_RETURN(tensor.at, memory.allocate(std::max<std::size_t>(bytes, 1)));
    bound.push_back(tensor);
  }
  return bound;
}

Result<Binding> BoundSession::bind(HeapSource& memory) {
  std::vector<Shape> shapes;
  for (const TensorSpec& input : facts_.signature.inputs) {
    shapes.push_back(facts_.max_batch_size > 0 ? input.shape.without_first().with_first(bucket_) : input.shape);
  }
  Binding binding;
  TESSERA_ASSIGN_OR_RETURN(binding.inputs, bind_all(facts_.signature.inputs, shapes, memory));
  for (std::size_t i = 0; i < binding.inputs.size(); ++i) {
    BoundTensor& input = binding.inputs[i];
    if (const std::optional<InputForm>& form = facts_.forms[i]) {
      const std::size_t values = input.bytes(rows()) / size_of(input.spec->dtype);
      TESSERA_ASSIGN_OR_RETURN(input.raw, memory.allocate(values * size_of(form->dtype)));
    }
  }
  // Runs on made-up input follow, and what happens to lie there may be an index far outside a table.
  for (const BoundTensor& input : binding.inputs) {
    const device::Driver& driver = facts_.parts->driver();
    TESSERA_RETURN_IF_ERROR(
        driver.check(driver.memset_d8_async(input.at, 0, input.bytes(rows()), facts_.parts->device.build_stream()),
                     "clear an input"));
  }
  if (output_shapes_.empty()) {
    TESSERA_RETURN_IF_ERROR(learn_outputs(memory, binding.inputs));
  }
  TESSERA_ASSIGN_OR_RETURN(binding.outputs, bind_all(facts_.signature.outputs, output_shapes_, memory));
  return binding;
}

void BoundSession::release(const Binding& binding, HeapSource& memory) {
  for (const auto* side : {&binding.inputs, &binding.outputs}) {
    for (const BoundTensor& tensor : *side) {
      memory.release(tensor.at);
      if (tensor.raw != 0) {
        memory.release(tensor.raw);
      }
    }
  }
}

Status BoundSession::learn_outputs(HeapSource& memory, const std::vector<BoundTensor>& inputs) {
  const WorkingAt loading(facts_.parts->loader_place(), memory);
  auto ran = guarded(Blame::kModelFile, [&]() -> Status {
    Ort::IoBinding io(session_);
    for (const BoundTensor& input : inputs) {
      io.BindInput(input.spec->name.c_str(), value(input));
    }
    const Ort::MemoryInfo cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
    for (const TensorSpec& output : facts_.signature.outputs) {
      io.BindOutput(output.name.c_str(), cpu);
    }
    session_.Run(Ort::RunOptions(), io);
    for (const Ort::Value& output : io.GetOutputValues()) {
      TESSERA_ASSIGN_OR_RETURN(const Shape shape, Shape::from(output.GetTensorTypeAndShapeInfo().GetShape()));
      if (facts_.max_batch_size > 0 && (shape.rank() == 0 || shape[0] != bucket_)) {
        return invalid_argument("an output has shape " + shape.to_string() + " for a batch of " +
                                std::to_string(bucket_));
      }
      output_shapes_.push_back(shape);
    }
    return ok_status();
  });
  const Status status = ran.ok() ? *ran : Status(ran.error());
  return status.ok() ? status : no_memory(memory, status.error());
}

Status BoundSession::run(const Binding& binding, HeapSource& memory) { return run_with(binding, memory, false); }

Status BoundSession::run_captured(const Binding& binding, HeapSource& memory) {
  return run_with(binding, memory, true);
}

Result<Duration> BoundSession::time_captured(const Binding& binding, HeapSource& memory) {
  const device::Driver& driver = facts_.parts->driver();
  const CUstream stream = facts_.parts->device.build_stream();
  const auto timed = [&]() -> Result<Duration> {
    TESSERA_ASSIGN_OR_RETURN(const device::OwnedGraph graph, device::capture(*facts_.parts->gpu, stream, [&](CUstream) {
                               return run_captured(binding, memory);
                             }));
    CUgraphExec made = nullptr;
    TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_instantiate(&made, graph.get(), 0), "instantiate a trial"));
    const device::OwnedGraphExec exec(driver, made);
    Duration least = Duration::max();
    for (int i = 0; i < kTimedRuns; ++i) {
      const TimePoint begin = now();
      TESSERA_RETURN_IF_ERROR(driver.check(driver.graph_launch(exec.get(), stream), "run a trial"));
      TESSERA_RETURN_IF_ERROR(driver.check(driver.stream_synchronize(stream), "run a trial"));
      least = std::min(least, now() - begin);
    }
    return least;
  };
  auto took = timed();
  // In any case: what the captured run left in the host's memory is given back while the session is there.
  TESSERA_RETURN_IF_ERROR(run(binding, memory));
  return took;
}

Status BoundSession::run_with(const Binding& binding, HeapSource& memory, bool captured) {
  const WorkingAt loading(facts_.parts->loader_place(), memory);
  const auto ran = guarded(Blame::kModelFile, [&] {
    Ort::IoBinding io(session_);
    for (const BoundTensor& input : binding.inputs) {
      io.BindInput(input.spec->name.c_str(), value(input));
    }
    for (const BoundTensor& output : binding.outputs) {
      io.BindOutput(output.spec->name.c_str(), value(output));
    }
    Ort::RunOptions options;
    if (captured) {
      options.AddConfigEntry(kOrtRunOptionsConfigDisableSynchronizeExecutionProviders, "1");
    }
    session_.Run(options, io);
  });
  return ran.ok() ? ok_status() : no_memory(memory, ran.error());
}

}  // namespace tessera::engine
