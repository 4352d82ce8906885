// A kernel that fills a slice until the test lets it go.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "base/clock.h"
#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::engine {

class HoldTest : public CudaEngineTest {
 protected:
  static constexpr std::chrono::milliseconds kHeld{100};

  void SetUp() override {
    CudaEngineTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      kernels_ = std::make_unique<device::contract::ProbeKernels>(device_->gpu());
      gate_memory_ =
          std::make_unique<device::contract::MappedMemory>(device_->gpu(), sizeof(device::contract::ProbeGate));
      const device::Driver& driver = device_->gpu()->driver();
      CUdeviceptr shared = 0;
      ASSERT_EQ(driver.mem_alloc(&shared, sizeof(device::contract::ProbeHold)), CUDA_SUCCESS);
      shared_ = device::OwnedDeviceMemory(driver, shared);
      ASSERT_EQ(driver.memset_d8_async(shared, 0, sizeof(device::contract::ProbeHold), device_->loader_stream()),
                CUDA_SUCCESS);
      ASSERT_EQ(driver.stream_synchronize(device_->loader_stream()), CUDA_SUCCESS);
    }
  }
  void TearDown() override {
    if (gate_memory_ != nullptr) {
      open();
    }
    kernels_.reset();
    gate_memory_.reset();
    shared_.reset();
    CudaEngineTest::TearDown();
  }

  device::contract::ProbeGate* gate() const { return gate_memory_->as<device::contract::ProbeGate>(); }
  void open() const { std::atomic_ref(gate()->open).store(1); }

  // Two blocks of 1024 threads on every processor of the slice: all that they hold.
  device::HomedGraph hold(const Slice& slice) {
    const device::Driver& driver = device_->gpu()->driver();
    const auto blocks = static_cast<unsigned>(shape().processors_in(slice)) * 2;
    auto* gate = this->gate();
    auto shared = shared_.get();
    void* values[] = {&gate, &shared};
    auto source = device::capture(*device_->gpu(), device_->loader_stream(), [&](CUstream on) {
      return driver.check(
          driver.launch_kernel(kernels_->function("hold"), blocks, 1, 1, 1024, 1, 1, 0, on, values, nullptr),
          "capture");
    });
    EXPECT_TRUE(source.ok());
    auto homed =
        device::HomedGraph::make(*device_->gpu(), source->get(), *device_->context_of(slice), device_->loader_stream());
    EXPECT_TRUE(homed.ok());
    return *std::move(homed);
  }
  bool fills(const Slice& slice) const {
    const auto blocks = static_cast<unsigned>(shape().processors_in(slice)) * 2;
    for (const TimePoint end = now() + std::chrono::seconds(5); now() < end;) {
      if (std::atomic_ref(gate()->reached).load() == blocks) {
        return true;
      }
    }
    return false;
  }
  std::unique_ptr<device::contract::ProbeKernels> kernels_;
  std::unique_ptr<device::contract::MappedMemory> gate_memory_;
  device::OwnedDeviceMemory shared_;  // of the one hold
};

}  // namespace tessera::engine
