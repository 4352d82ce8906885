// What choosing a device costs a request: 8 devices with 200 models each, for the first, the middle and the last name.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/clock.h"
#include "core/slice.h"
#include "engine/engine.h"
#include "runtime/route_table.h"

namespace tessera {
namespace {

constexpr std::uint16_t kAtoms = 16;

// Never run.
class NoModel final : public engine::LoadedModel {
 public:
  const engine::FileSignature& signature() const override { return signature_; }
  engine::MemoryUse memory() const override { return {}; }
  Result<const device::Plan*> prepare_home(std::int32_t, LaneIndex, const Slice&) override {
    return unsupported("prepare_home");
  }
  bool one_plan_per_slice() const override { return true; }

 private:
  engine::FileSignature signature_;
};

std::string name_of(int model) {
  char text[32];
  std::snprintf(text, sizeof text, "model_with_a_name_%03d", model);
  return text;
}

std::unique_ptr<runtime::RouteTable> table(int devices, int models) {
  DeviceShape shape;
  shape.name = "cuda:0";
  shape.processors.assign(kAtoms, 8);
  shape.ladder = aligned_ladder(kAtoms);
  shape.loader = loader_slice(kAtoms);
  auto out = std::make_unique<runtime::RouteTable>();
  for (int model = 0; model < models; ++model) {
    for (int device = 0; device < devices; ++device) {
      auto instance = std::make_shared<model::Instance>();
      instance->id = InstanceId{static_cast<std::uint32_t>(model + 1)};
      instance->name = name_of(model);
      instance->version = 1;
      instance->config.params.buckets = {1};
      instance->config.params.slo = std::chrono::milliseconds(20);
      instance->engine_model = std::make_unique<NoModel>();
      auto served = std::make_shared<runtime::ServedInstance>(std::move(instance), shape);
      served->load.set({std::chrono::microseconds(200), std::chrono::microseconds(900), 0});
      out->put(static_cast<std::uint16_t>(device), std::move(served));
    }
  }
  for (int device = 0; device < devices; ++device) {
    const TimePoint free_at = now() + std::chrono::milliseconds(device);
    out->load(static_cast<std::uint16_t>(device)).set({free_at, free_at});
  }
  return out;
}

void choose(benchmark::State& state) {
  const auto routes = table(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  std::vector<std::string> names;
  for (const int model : {0, static_cast<int>(state.range(1)) / 2, static_cast<int>(state.range(1)) - 1}) {
    names.push_back(name_of(model));
  }
  std::size_t next = 0;
  for (auto _ : state) {
    const auto choice = routes->choose(names[next++ % names.size()], std::nullopt);
    TESSERA_CHECK(choice.device.has_value());
    benchmark::DoNotOptimize(choice);
  }
}

BENCHMARK(choose)->Args({2, 200})->Args({8, 200});

}  // namespace
}  // namespace tessera

BENCHMARK_MAIN();
