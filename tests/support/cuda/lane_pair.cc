#include "tests/support/cuda/lane_pair.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "base/clock.h"

namespace tessera::device::contract {

LanePair::LanePair(CardKit& kit, bool aliased) : kit_(kit) {
  for (std::size_t lane = 0; lane < 2; ++lane) {
    gates_[lane] = std::make_unique<MappedMemory>(kit_.gpu(), sizeof(ProbeGate));
    const CUdeviceptr input = at(lane);
    const CUdeviceptr activations = (aliased ? at(0) : at(lane)) + kPart;
    const CUdeviceptr output = at(lane) + 2 * kPart;
    auto* gate = gates_[lane]->as<ProbeGate>();
    CUdeviceptr shared = kit_.next_shared();
    void* values[] = {&gate, &shared};
    sources_[lane] = kit_.captured([&](CUstream on) {
      const Driver& driver = kit_.driver();
      const CUresult in = driver.memcpy_dtod_async(activations, input, kPart, on);
      const CUresult held =
          driver.launch_kernel(kit_.probes().kernels().function("hold"), 1, 1, 1, 32, 1, 1, 0, on, values, nullptr);
      const CUresult out = driver.memcpy_dtod_async(output, activations, kPart, on);
      return std::max({in, held, out});
    });
    homed_.push_back(kit_.homed(sources_[lane].get(), kit_.context({static_cast<std::uint16_t>(lane), 1})));
  }
}

NamedRange LanePair::range(std::size_t lane) const {
  return {at(lane), at(lane) + kLaneBytes, "lane " + std::to_string(lane)};
}

Status LanePair::audit(std::size_t lane) const {
  const NamedRange foreign = range(1 - lane);
  const auto looked = check_pointers(*kit_.gpu(), sources_[lane].get(), {&foreign, 1});
  return looked.ok() ? ok_status() : Status(looked.error());
}

int LanePair::wrong_of_two(unsigned char value) {
  const Driver& driver = kit_.driver();
  std::array<std::vector<std::byte>, 2> inputs;
  std::array<std::vector<std::byte>, 2> outputs;
  for (std::size_t lane = 0; lane < 2; ++lane) {
    auto* gate = gates_[lane]->as<ProbeGate>();
    std::atomic_ref(gate->open).store(0);
    std::atomic_ref(gate->reached).store(0);
    inputs[lane].assign(kPart, static_cast<std::byte>(value + lane));
    outputs[lane].resize(kPart);
    EXPECT_EQ(driver.memcpy_htod_async(at(lane), inputs[lane].data(), kPart, kit_.stream(lane)), CUDA_SUCCESS);
    EXPECT_TRUE(homed_[lane].launch(kit_.stream(lane)).ok());
  }
  for (const auto& memory : gates_) {
    for (const TimePoint end = now() + CardKit::kLong;
         std::atomic_ref(memory->as<ProbeGate>()->reached).load() == 0 && now() < end;) {
    }
    EXPECT_GT(std::atomic_ref(memory->as<ProbeGate>()->reached).load(), 0U) << "the lanes do not run at once";
  }
  int wrong = 0;
  for (std::size_t lane = 0; lane < 2; ++lane) {
    std::atomic_ref(gates_[lane]->as<ProbeGate>()->open).store(1);
    EXPECT_EQ(driver.memcpy_dtoh_async(outputs[lane].data(), at(lane) + 2 * kPart, kPart, kit_.stream(lane)),
              CUDA_SUCCESS);
    EXPECT_EQ(driver.stream_synchronize(kit_.stream(lane)), CUDA_SUCCESS);
    wrong += inputs[lane] == outputs[lane] ? 0 : 1;
  }
  return wrong;
}

}  // namespace tessera::device::contract
