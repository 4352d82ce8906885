// What the runtime adds to a run of the engine's plan, for the smallest model there is (16 integers added and
// subtracted), and how late a wait ends while every core computes. The difference of infer_* and plan_run is the
// runtime's own cost: checks, scheduler, launch, completion, answer.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <semaphore>
#include <string>
#include <thread>
#include <vector>

#include "base/affinity.h"
#include "base/check.h"
#include "base/clock.h"
#include "device/host/host_device.h"
#include "device/host/host_plan.h"
#include "device/host/topology.h"
#include "engine/onnxruntime/onnx_engine.h"
#include "runtime/serving.h"
#include "tests/support/onnx_writer.h"

namespace tessera {
namespace {

constexpr std::int64_t kColumns = 16;
using Row = std::array<std::int32_t, kColumns>;

// The model on every slice of a device of its own.
struct AddSub {
  explicit AddSub(const std::string& policy = "tessera") {
    const auto path =
        std::filesystem::temp_directory_path() / ("tessera-bench-" + std::to_string(::getpid()) + ".onnx");
    test_support::add_sub_model(true).save(path);
    topology = std::make_unique<device::HostTopology>(device::HostTopology::of().value());
    engine = engine::OnnxEngine::create(*topology).value();
    auto loaded = std::make_shared<model::Instance>();
    engine::LoadOptions options;
    options.file = path;
    options.max_batch_size = 8;
    loaded->engine_model = engine->load(options).value();
    std::filesystem::remove(path);
    loaded->id = {1};
    loaded->name = "add_sub";
    loaded->version = 1;
    loaded->signature = {{{"INPUT0", DType::kInt32, {kColumns}}, {"INPUT1", DType::kInt32, {kColumns}}},
                         {{"OUTPUT0", DType::kInt32, {kColumns}}, {"OUTPUT1", DType::kInt32, {kColumns}}},
                         8};
    loaded->config.params.name = loaded->name;
    loaded->config.params.max_batch_size = 8;
    loaded->config.params.buckets = {1, 2, 4, 8};
    runtime::ServingOptions serving_options;
    serving_options.policy = policy;
    serving = runtime::Serving::create(std::move(serving_options), device::make_host_device({}).value()).value();
    for (const Slice& slice : serving->device().shape().ladder) {
      TESSERA_CHECK(loaded->engine_model->prepare_home(1, {0}, slice).ok());
    }
    instance = loaded;
    const auto few = std::chrono::microseconds(5);
    TESSERA_CHECK(serving->publish(instance, sched::Profile({{1, 1, few}, {8, 1, 2 * few}})).ok());
    for (const Slice& slice : serving->device().shape().ladder) {
      serving->slice_ready(*instance, slice);
    }
  }
  ~AddSub() { serving->withdraw(*instance); }

  std::unique_ptr<device::HostTopology> topology;
  std::unique_ptr<engine::OnnxEngine> engine;
  std::unique_ptr<runtime::Serving> serving;
  std::shared_ptr<const model::Instance> instance;
};

// What a front end would keep of one connection: the same call again and again.
class Caller final : public runtime::InferCall {
 public:
  Caller() {
    request.model = "add_sub";
    request.inputs = {{"INPUT0", {DType::kInt32, {1, kColumns}, std::as_bytes(std::span(numbers_))}},
                      {"INPUT1", {DType::kInt32, {1, kColumns}, std::as_bytes(std::span(numbers_))}}};
  }
  void done(Result<InferResponse> result) noexcept override {
    TESSERA_CHECK(result.ok());
    answered_on_ = std::this_thread::get_id();
    answered_.release();
  }
  void wait() { answered_.acquire(); }
  bool answered_here() const { return answered_on_ == std::this_thread::get_id(); }

 private:
  alignas(64) Row numbers_{};
  std::thread::id answered_on_;
  std::binary_semaphore answered_{0};
};

// The floor: the plan alone, called as the device calls it.
void plan_run(benchmark::State& state) {
  AddSub models;
  const ScopedPin pin(models.topology->main_set({0, 1}));
  const auto* plan =
      static_cast<const device::HostPlan*>(models.instance->engine_model->prepare_home(1, {0}, {0, 1}).value());
  alignas(64) const Row numbers{};
  const auto bytes = std::as_bytes(std::span(numbers));
  Batch batch;
  batch.rows = batch.bucket = 1;
  batch.inputs = {{DType::kInt32, {kColumns}, {bytes}}, {DType::kInt32, {kColumns}, {bytes}}};
  for (auto _ : state) {
    TESSERA_CHECK(plan->run({0, 1}, batch).ok());
    batch.output_memory.reset();
  }
}

void infer(benchmark::State& state, bool pinned, const std::string& policy) {
  AddSub models(policy);
  std::unique_ptr<ScopedPin> pin;
  if (pinned) {
    pin = std::make_unique<ScopedPin>(models.topology->main_set({0, 1}));
  }
  const auto call = std::make_shared<Caller>();
  std::int64_t here = 0;
  for (auto _ : state) {
    models.serving->infer(call);
    call->wait();
    here += call->answered_here() ? 1 : 0;
  }
  state.counters["inline_share"] = static_cast<double>(here) / static_cast<double>(state.iterations());
}
void infer_pinned(benchmark::State& state) { infer(state, true, "tessera"); }
void infer_unpinned(benchmark::State& state) { infer(state, false, "tessera"); }
// Policy temporal always takes the whole device, which no single thread can stand for: one hop there, one back.
void infer_by_worker(benchmark::State& state) { infer(state, true, "temporal"); }

// A refusal by the checks: what a flood of bad requests costs.
void refuse(benchmark::State& state) {
  AddSub models;
  class Refused final : public runtime::InferCall {
   public:
    void done(Result<InferResponse> result) noexcept override { TESSERA_CHECK(!result.ok()); }
  };
  const auto call = std::make_shared<Refused>();
  const Caller good;
  call->request = good.request;
  call->request.inputs[0].tensor.dtype = DType::kFp32;
  for (auto _ : state) {
    models.serving->infer(call);
  }
}

// How long after its timeout a waiting request is answered, while a thread computes on every core.
void lateness_of_a_timeout(benchmark::State& state) {
  AddSub models;
  std::atomic<bool> stop{false};
  std::vector<std::thread> hogs;
  for (std::uint16_t atom = 0; atom < models.topology->atoms(); ++atom) {
    hogs.emplace_back([&, atom] {
      const ScopedPin pin(models.topology->main_set({atom, 1}));
      while (!stop.load(std::memory_order_relaxed)) {
      }
    });
  }
  class Waiting final : public runtime::InferCall {
   public:
    void done(Result<InferResponse>) noexcept override {
      answered_at = now();
      answered.release();
    }
    TimePoint answered_at{};
    std::binary_semaphore answered{0};
  };
  const Row numbers{};
  const auto bytes = std::as_bytes(std::span(numbers));
  // With the whole device lent, every request waits.
  std::vector<double> late_ms;
  const Status lent =
      models.serving->with_borrowed(models.serving->device().shape().whole(), kForever, [&]() -> Status {
        for (auto _ : state) {
          const auto call = std::make_shared<Waiting>();
          call->request.model = "add_sub";
          call->request.inputs = {{"INPUT0", {DType::kInt32, {1, kColumns}, bytes}},
                                  {"INPUT1", {DType::kInt32, {1, kColumns}, bytes}}};
          call->request.timeout = std::chrono::milliseconds(10);
          call->request.arrival = now();
          models.serving->infer(call);
          call->answered.acquire();
          const Duration late = call->answered_at - call->request.arrival - std::chrono::milliseconds(10);
          late_ms.push_back(static_cast<double>(late.count()) * 1e-6);
        }
        return ok_status();
      });
  TESSERA_CHECK(lent.ok());
  stop.store(true);
  for (auto& hog : hogs) {
    hog.join();
  }
  std::sort(late_ms.begin(), late_ms.end());
  state.counters["late_p50_ms"] = late_ms[late_ms.size() / 2];
  state.counters["late_p99_ms"] = late_ms[late_ms.size() * 99 / 100];
  state.counters["late_max_ms"] = late_ms.back();
}

BENCHMARK(plan_run);
BENCHMARK(infer_pinned)->UseRealTime();
BENCHMARK(infer_unpinned)->UseRealTime();
BENCHMARK(infer_by_worker)->UseRealTime();
BENCHMARK(refuse);
BENCHMARK(lateness_of_a_timeout)->Iterations(200)->UseRealTime();

}  // namespace
}  // namespace tessera

BENCHMARK_MAIN();
