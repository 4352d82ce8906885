// What the ONNX Runtime engine adds to a bare call of the library: the smallest model, and a 600 KB image that passes
// through. Run it pinned: taskset -c 1 build/bin/bench_engine
#include <benchmark/benchmark.h>
#include <onnxruntime_cxx_api.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "device/host/host_plan.h"
#include "device/host/topology.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "tests/support/onnx_writer.h"

namespace tessera {
namespace {

constexpr std::int64_t kImageBytes = 602112;  // 3 x 448 x 448

struct Case {
  test_support::OnnxWriter model;
  DType dtype;
  std::int64_t width;
  std::vector<const char*> inputs;
  std::vector<const char*> outputs;
};

Case add_sub() {
  return {test_support::add_sub_model(true), DType::kInt32, 16, {"INPUT0", "INPUT1"}, {"OUTPUT0", "OUTPUT1"}};
}
Case image() {
  return {test_support::identity_model(DType::kUint8, {"batch", kImageBytes}),
          DType::kUint8,
          kImageBytes,
          {"INPUT0"},
          {"OUTPUT0"}};
}

std::size_t row_bytes(const Case& c) { return static_cast<std::size_t>(c.width) * size_of(c.dtype); }

// A file that goes with this object.
class ModelFile {
 public:
  explicit ModelFile(const test_support::OnnxWriter& model)
      : path_(std::filesystem::temp_directory_path() / ("tessera-bench-" + std::to_string(::getpid()) + ".onnx")) {
    model.save(path_);
  }
  ~ModelFile() { std::filesystem::remove(path_); }
  ModelFile(const ModelFile&) = delete;
  ModelFile& operator=(const ModelFile&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// The library alone, with its own defaults but for threads. Values are made once; outputs are either as well, or come
// from the library and are let go again.
void bare_run(benchmark::State& state, const Case& c, bool own_outputs) {
  const ModelFile file(c.model);
  const Ort::Env env(ORT_LOGGING_LEVEL_FATAL, "bench");
  Ort::SessionOptions options;
  options.SetIntraOpNumThreads(1);
  Ort::Session session(env, file.path().c_str(), options);
  const Ort::MemoryInfo cpu = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);
  const std::vector<std::int64_t> shape{1, c.width};
  const std::size_t tensors = c.inputs.size() + c.outputs.size();
  std::vector<std::byte> memory(tensors * (row_bytes(c) + 64));
  std::vector<Ort::Value> values;
  for (std::size_t i = 0; i < tensors; ++i) {
    values.push_back(Ort::Value::CreateTensor(cpu, memory.data() + i * (row_bytes(c) + 64), row_bytes(c), shape.data(),
                                              shape.size(), engine::to_onnx_type(c.dtype)));
  }
  const Ort::RunOptions run_options;
  while (state.KeepRunning()) {
    if (own_outputs) {
      session.Run(run_options, c.inputs.data(), values.data(), c.inputs.size(), c.outputs.data(),
                  values.data() + c.inputs.size(), c.outputs.size());
    } else {
      benchmark::DoNotOptimize(session.Run(run_options, c.inputs.data(), values.data(), c.inputs.size(),
                                           c.outputs.data(), c.outputs.size()));
    }
  }
}

// The engine's plan, as a worker of the host device calls it: `parts` requests of one row each.
void plan_run(benchmark::State& state, const Case& c) {
  const auto parts = static_cast<std::int32_t>(state.range(0));
  const ModelFile file(c.model);
  auto engine = engine::OnnxEngine::create(device::HostTopology::of().value()).value();
  engine::LoadOptions options;
  options.file = file.path();
  options.max_batch_size = 8;
  auto model = engine->load(options).value();
  const Slice slice{0, 1};
  const auto* plan = dynamic_cast<const device::HostPlan*>(model->prepare_home(1, LaneIndex{0}, slice).value());
  TESSERA_CHECK(plan != nullptr);
  std::vector<std::uint64_t> memory(row_bytes(c) / sizeof(std::uint64_t));
  const auto bytes = std::as_bytes(std::span<const std::uint64_t>(memory));
  Batch batch;
  batch.rows = batch.bucket = parts;
  for (std::size_t i = 0; i < c.inputs.size(); ++i) {
    batch.inputs.push_back(
        {c.dtype, {c.width}, std::vector<std::span<const std::byte>>(static_cast<std::size_t>(parts), bytes)});
  }
  while (state.KeepRunning()) {
    TESSERA_CHECK(plan->run(slice, batch).ok());
    batch.output_memory.reset();
  }
  state.counters["copied_bytes_per_run"] =
      benchmark::Counter(static_cast<double>(engine->copied_tensor_bytes().value), benchmark::Counter::kAvgIterations);
}

void bare_add_sub_preallocated(benchmark::State& state) { bare_run(state, add_sub(), true); }
void bare_add_sub(benchmark::State& state) { bare_run(state, add_sub(), false); }
void plan_add_sub(benchmark::State& state) { plan_run(state, add_sub()); }
void bare_image_preallocated(benchmark::State& state) { bare_run(state, image(), true); }
void bare_image(benchmark::State& state) { bare_run(state, image(), false); }
void plan_image(benchmark::State& state) { plan_run(state, image()); }

BENCHMARK(bare_add_sub_preallocated);
BENCHMARK(bare_add_sub);
BENCHMARK(plan_add_sub)->Arg(1)->Arg(8);
BENCHMARK(bare_image_preallocated);
BENCHMARK(bare_image);
BENCHMARK(plan_image)->Arg(1)->Arg(4);

}  // namespace
}  // namespace tessera

BENCHMARK_MAIN();
