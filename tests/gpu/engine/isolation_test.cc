// That what libraries queue keeps to its slice: a model's plan waits for room in a slice that is full, and nowhere
// else.
#include <atomic>
#include <chrono>

#include "base/clock.h"
#include "tests/gpu/engine/cuda_fixture.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::engine {
namespace {

using device::contract::ProbeGate;
using device::contract::ProbeHold;

class EngineIsolationTest : public CudaEngineTest {
 protected:
  static constexpr std::chrono::milliseconds kHeld{100};

  void SetUp() override {
    CudaEngineTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) {
      kernels_ = std::make_unique<device::contract::ProbeKernels>(device_->gpu());
      gate_memory_ = std::make_unique<device::contract::MappedMemory>(device_->gpu(), sizeof(ProbeGate));
      const device::Driver& driver = device_->gpu()->driver();
      CUdeviceptr shared = 0;
      ASSERT_EQ(driver.mem_alloc(&shared, sizeof(ProbeHold)), CUDA_SUCCESS);
      shared_ = device::OwnedDeviceMemory(driver, shared);
      ASSERT_EQ(driver.memset_d8_async(shared, 0, sizeof(ProbeHold), device_->loader_stream()), CUDA_SUCCESS);
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

  ProbeGate* gate() const { return gate_memory_->as<ProbeGate>(); }
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

TEST_F(EngineIsolationTest, APlanOfLibraryCallsKeepsToItsSlice) {
  const auto model = load(image_model());
  ASSERT_NE(model, nullptr);
  const Slice full{0, 2};
  const Slice free{2, 2};
  const device::Plan* inside = home(*model, 4, 0, full);
  const device::Plan* outside = home(*model, 4, 1, free);
  ASSERT_NE(inside, nullptr);
  ASSERT_NE(outside, nullptr);
  const device::HomedGraph held = hold(full);
  const auto streams = device_->gpu()->make_streams(1);
  ASSERT_TRUE(streams.ok());
  ASSERT_TRUE(held.launch(streams->front().get()).ok());
  ASSERT_TRUE(fills(full));

  TestBatch first = images(4, 4, 1);
  TestBatch second = images(4, 4, 1);
  device::Launch launch;
  launch.instance = {1};
  launch.id = {1};
  launch.slice = full;
  launch.plan = inside;
  launch.batch = &first.batch;
  const TimePoint begin = now();
  ASSERT_TRUE(device_->launch(launch).ok());
  launch.id = {2};
  launch.lane = {1};
  launch.slice = free;
  launch.plan = outside;
  launch.batch = &second.batch;
  ASSERT_TRUE(device_->launch(launch).ok());
  EXPECT_TRUE(completions_.wait_for({2}).status.ok());
  EXPECT_LT(now() - begin, std::chrono::seconds(5)) << "another slice is held up";
  EXPECT_FALSE(completions_.ended_within({1}, kHeld)) << "it ran outside its slice, which is full";
  open();
  EXPECT_TRUE(completions_.wait_for({1}).status.ok());
  device_->retire({1});
  device_->retire({2});
  EXPECT_EQ(bytes_of(first.batch), bytes_of(second.batch));
  ASSERT_EQ(device_->gpu()->driver().stream_synchronize(streams->front().get()), CUDA_SUCCESS);
}

}  // namespace
}  // namespace tessera::engine
