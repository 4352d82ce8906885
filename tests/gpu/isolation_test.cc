// That a slice is what it is said to be: its processors are its own, and all kinds of nodes of a homed graph keep to
// them.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

#include "base/clock.h"
#include "device/cuda/device_memory.h"
#include "device/cuda/graph_audit.h"
#include "device/cuda/plan_frame.h"
#include "tests/support/cuda/probe_kit.h"

namespace tessera::device::contract {
namespace {

using std::chrono::milliseconds;

constexpr unsigned kFullBlock = 1024;  // threads; two such blocks are all that a processor holds at once
constexpr unsigned kFullBlocks = 2;    // a processor
constexpr std::size_t kBytes = 1 << 20;

class IsolationTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!host_driver().ok()) {
      GTEST_SKIP() << host_driver().error().message();
    }
    auto gpu = Gpu::open(*host_driver(), 0);
    ASSERT_TRUE(gpu.ok()) << gpu.error().message();
    gpu_ = *std::move(gpu);
    CudaOptions options;
    options.streams = 1;
    auto device = make_cuda_device(gpu_, options);
    ASSERT_TRUE(device.ok()) << device.error().message();
    device_ = *std::move(device);
    kit_ = std::make_unique<ProbeKit>(*device_);
    auto streams = gpu_->make_streams(kStreams);
    ASSERT_TRUE(streams.ok());
    streams_ = *std::move(streams);
    ASSERT_EQ(driver().ctx_set_current(gpu_->context()), CUDA_SUCCESS);
    CUdeviceptr memory = 0;
    ASSERT_EQ(driver().mem_alloc(&memory, 2 * kBytes), CUDA_SUCCESS);
    memory_ = OwnedDeviceMemory(driver(), memory);
  }
  void TearDown() override {
    for (const auto& gate : gates_) {
      std::atomic_ref(gate->as<ProbeGate>()->open).store(1);
    }
    for (const OwnedStream& stream : streams_) {
      static_cast<void>(driver().stream_synchronize(stream.get()));
    }
    device_.reset();
  }

  const Driver& driver() const { return gpu_->driver(); }
  const DeviceShape& shape() const { return device_->shape(); }
  CUstream stream(std::size_t i) const { return streams_[i].get(); }

  OwnedGraph captured(const std::function<CUresult(CUstream)>& work) {
    auto graph = capture(*gpu_, stream(kStreams - 1), [&](CUstream on) { return driver().check(work(on), "capture"); });
    EXPECT_TRUE(graph.ok());
    return *std::move(graph);
  }
  HomedGraph homed(CUgraph source, CUcontext context) {
    auto made = HomedGraph::make(*gpu_, source, context, stream(kStreams - 1));
    EXPECT_TRUE(made.ok());
    return *std::move(made);
  }
  CUcontext context(const Slice& slice) { return *device_->context_of(slice); }

  // What fills every processor of a slice until it is opened. Made before any is started: making one may wait for what
  // runs.
  struct Hold {
    HomedGraph graph;
    ProbeGate* gate;
    unsigned blocks;
  };
  Hold make_hold(const Slice& slice) {
    auto* gate = gates_.emplace_back(std::make_unique<MappedMemory>(gpu_, sizeof(ProbeGate)))->as<ProbeGate>();
    const auto blocks = static_cast<unsigned>(shape().processors_in(slice)) * kFullBlocks;
    void* values[] = {&gate};
    const OwnedGraph source = captured([&](CUstream capturing) {
      return driver().launch_kernel(kit_->kernels().function("hold"), blocks, 1, 1, kFullBlock, 1, 1, 0, capturing,
                                    values, nullptr);
    });
    return {homed(source.get(), context(slice)), gate, blocks};
  }
  void start(const Hold& hold, CUstream on) {
    std::atomic_ref(hold.gate->open).store(0);
    std::atomic_ref(hold.gate->reached).store(0);
    EXPECT_TRUE(hold.graph.launch(on).ok());
    for (const TimePoint end = now() + kLong;
         std::atomic_ref(hold.gate->reached).load() != hold.blocks && now() < end;) {
    }
    EXPECT_EQ(std::atomic_ref(hold.gate->reached).load(), hold.blocks) << "not all of it runs at once";
  }
  static void open(const Hold& hold) { std::atomic_ref(hold.gate->open).store(1); }

  bool ends(CUstream on, milliseconds within) {
    CUevent event = nullptr;
    EXPECT_EQ(driver().event_create(&event, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
    const OwnedEvent owned(driver(), event);
    EXPECT_EQ(driver().event_record(event, on), CUDA_SUCCESS);
    CUresult result = CUDA_ERROR_NOT_READY;
    for (const TimePoint end = now() + within; result == CUDA_ERROR_NOT_READY && now() < end;) {
      result = driver().event_query(event);
    }
    return result == CUDA_SUCCESS;
  }

  OwnedGraph all_kinds_of_nodes() {
    return captured([&](CUstream on) {
      const CUresult set = driver().memset_d8_async(memory_.get(), 1, kBytes, on);
      const CUresult copied = driver().memcpy_dtod_async(memory_.get() + kBytes, memory_.get(), kBytes, on);
      const CUresult launched = driver().launch_kernel(kit_->kernels().function("nothing"), 64, 1, 1, kFullBlock, 1, 1,
                                                       0, on, nullptr, nullptr);
      return std::max({set, copied, launched});
    });
  }

  // A graph of one node, homed in a slice, waits for room there and nowhere else.
  void expect_confined(const OwnedGraph& source) {
    const Slice full{0, 1};
    const Slice free{1, 1};
    const HomedGraph inside = homed(source.get(), context(full));
    const HomedGraph outside = homed(source.get(), context(free));
    const HomedGraph nowhere = homed(source.get(), gpu_->context());
    const Hold hold = make_hold(full);
    start(hold, stream(0));
    ASSERT_TRUE(outside.launch(stream(1)).ok());
    EXPECT_TRUE(ends(stream(1), kLong)) << "another slice is held up";
    ASSERT_TRUE(nowhere.launch(stream(2)).ok());
    EXPECT_TRUE(ends(stream(2), kLong)) << "what is in no slice finds room elsewhere";
    ASSERT_TRUE(inside.launch(stream(3)).ok());
    EXPECT_FALSE(ends(stream(3), milliseconds(100))) << "it ran outside its slice, which is full";
    open(hold);
    EXPECT_TRUE(ends(stream(3), kLong));
  }

  static constexpr std::size_t kStreams = Gpu::kMaxStreams - kOtherStreams - 1;  // all but the device's own
  static constexpr milliseconds kLong{5000};

  std::shared_ptr<Gpu> gpu_;
  std::unique_ptr<CudaDevice> device_;
  std::unique_ptr<ProbeKit> kit_;
  std::vector<OwnedStream> streams_;
  OwnedDeviceMemory memory_;
  std::vector<std::unique_ptr<MappedMemory>> gates_;
};

TEST_F(IsolationTest, AtomsAreDisjointAndSlicesAreTheirUnions) {
  std::set<unsigned> all;
  std::size_t count = 0;
  for (std::uint16_t atom = 0; atom < shape().atoms(); ++atom) {
    EXPECT_EQ(kit_->sms()[atom].size(), shape().processors[atom]) << atom;
    all.insert(kit_->sms()[atom].begin(), kit_->sms()[atom].end());
    count += kit_->sms()[atom].size();
  }
  EXPECT_EQ(all.size(), count) << "two atoms share a processor";
  EXPECT_EQ(kit_->kernels().sms_of(gpu_->context()), all) << "some processors are in no atom";
  for (const Slice& slice : shape().ladder) {
    std::set<unsigned> expected;
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      expected.insert(kit_->sms()[atom].begin(), kit_->sms()[atom].end());
    }
    EXPECT_EQ(kit_->kernels().sms_of(context(slice)), expected) << slice.first << "+" << slice.count;
  }
}

TEST_F(IsolationTest, AKernelKeepsToItsSlice) {
  expect_confined(captured([&](CUstream on) {
    return driver().launch_kernel(kit_->kernels().function("nothing"), 4, 1, 1, kFullBlock, 1, 1, 0, on, nullptr,
                                  nullptr);
  }));
}

TEST_F(IsolationTest, AMemsetKeepsToItsSlice) {
  expect_confined(captured([&](CUstream on) { return driver().memset_d8_async(memory_.get(), 1, kBytes, on); }));
}

TEST_F(IsolationTest, ACopyKeepsToItsSlice) {
  expect_confined(captured(
      [&](CUstream on) { return driver().memcpy_dtod_async(memory_.get() + kBytes, memory_.get(), kBytes, on); }));
}

// All of it, while it moves what the host has.
TEST_F(IsolationTest, AFramedPlanKeepsToItsSlice) {
  const auto kernels = PlanKernels::load(gpu_);
  ASSERT_TRUE(kernels.ok()) << kernels.error().message();
  const MappedMemory control(gpu_, control_size(2));
  const MappedMemory input(gpu_, kBytes);
  const auto from = reinterpret_cast<std::uintptr_t>(input.as<std::byte>());
  const auto size = static_cast<std::uint32_t>(kBytes / 2);
  const auto region = *DeviceRegion::reserve(gpu_, {1}, std::make_shared<MemoryBudget>(std::nullopt));
  ASSERT_TRUE(region->grow({1}).ok());
  ASSERT_EQ(driver().memset_d8_async(region->base(), 0, kFrameBytes, stream(0)), CUDA_SUCCESS);
  ASSERT_EQ(driver().stream_synchronize(stream(0)), CUDA_SUCCESS);
  const std::vector<Move> gathers{{from, memory_.get(), size, kCopy}};
  const std::vector<Move> scatters{{memory_.get(), from + size, size, kCopy}};
  write_control(control.as<std::byte>(), 0, 0, gathers, scatters);
  const auto at = reinterpret_cast<CUdeviceptr>(control.as<std::byte>());
  const OwnedGraph source = all_kinds_of_nodes();
  ASSERT_TRUE((*kernels)->frame(source.get(), at, region->base(), {size}, {size}).ok());
  expect_confined(source);
}

// Work queues and whatever else slices share unseen: nothing in a held slice may hold up another one, nor may what
// waits behind it.
TEST_F(IsolationTest, EveryAtomGoesOnWhileAllOthersAreFullAndAwaited) {
  const std::uint16_t atoms = shape().atoms();
  ASSERT_LT(atoms, kStreams - 1);
  const OwnedGraph source = all_kinds_of_nodes();
  std::vector<Hold> holds;
  std::vector<HomedGraph> pings;
  for (std::uint16_t atom = 0; atom < atoms; ++atom) {
    holds.push_back(make_hold({atom, 1}));
    pings.push_back(homed(source.get(), context({atom, 1})));
  }
  CUevent event = nullptr;
  ASSERT_EQ(driver().event_create(&event, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
  const OwnedEvent owned(driver(), event);
  for (std::uint16_t free = 0; free < atoms; ++free) {
    for (std::uint16_t atom = 0; atom < atoms; ++atom) {
      if (atom == free) {
        continue;
      }
      start(holds[atom], stream(atom));
      if (const std::size_t waiter = std::size_t{atoms} + atom; waiter < kStreams - 1) {
        ASSERT_EQ(driver().event_record(event, stream(atom)), CUDA_SUCCESS);
        ASSERT_EQ(driver().stream_wait_event(stream(waiter), event, 0), CUDA_SUCCESS);
        ASSERT_TRUE(pings[atom].launch(stream(waiter)).ok());
      }
    }
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(pings[free].launch(stream(free)).ok());
      EXPECT_TRUE(ends(stream(free), kLong)) << "atom " << free;
    }
    for (const Hold& hold : holds) {
      open(hold);
    }
    for (std::size_t i = 0; i < kStreams; ++i) {
      EXPECT_TRUE(ends(stream(i), kLong));
    }
  }
}

TEST_F(IsolationTest, AFullSliceHoldsUpNoDisjointOne) {
  const OwnedGraph source = all_kinds_of_nodes();
  std::vector<Hold> holds;
  std::vector<HomedGraph> pings;
  for (const Slice& slice : shape().ladder) {
    holds.push_back(make_hold(slice));
    pings.push_back(homed(source.get(), context(slice)));
  }
  for (std::size_t full = 0; full < holds.size(); ++full) {
    start(holds[full], stream(0));
    for (std::size_t free = 0; free < pings.size(); ++free) {
      if (!shape().ladder[free].overlaps(shape().ladder[full])) {
        ASSERT_TRUE(pings[free].launch(stream(1)).ok());
        EXPECT_TRUE(ends(stream(1), kLong)) << full << " holds up " << free;
      }
    }
    open(holds[full]);
    EXPECT_TRUE(ends(stream(0), kLong));
  }
}

TEST_F(IsolationTest, TheAuditKnowsTheNodes) {
  const auto found = audit(*gpu_, kit_->source(), shape().processors.front());
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->kernels, 2U);
  EXPECT_EQ(found->memsets, 1U);
  EXPECT_EQ(found->copies, 1U);
}

}  // namespace
}  // namespace tessera::device::contract
