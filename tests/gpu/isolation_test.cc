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
#include "tests/gpu/card_fixture.h"

namespace tessera::device::contract {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kBytes = CardKit::kBytes;
constexpr unsigned kFullBlock = CardKit::kFullBlock;

class IsolationTest : public CardTest {
 protected:
  void SetUp() override {
    CardTest::SetUp();
    if (kit_ != nullptr) {
      gpu_ = kit_->gpu();
    }
  }

  const Driver& driver() const { return kit_->driver(); }
  const DeviceShape& shape() const { return kit_->shape(); }
  CUstream stream(std::size_t i) const { return kit_->stream(i); }
  CUdeviceptr memory() const { return kit_->memory(); }
  CUcontext context(const Slice& slice) { return kit_->context(slice); }
  CUfunction probe(const char* name) const { return kit_->probes().kernels().function(name); }

  // A graph of one node, homed in a slice, waits for room there and nowhere else.
  void expect_confined(const OwnedGraph& source) {
    const Slice full{0, 1};
    const Slice free{1, 1};
    const HomedGraph inside = kit_->homed(source.get(), context(full));
    const HomedGraph outside = kit_->homed(source.get(), context(free));
    const HomedGraph nowhere = kit_->homed(source.get(), gpu_->context());
    const Hold hold = kit_->make_hold(full);
    kit_->start(hold, stream(0));
    ASSERT_TRUE(outside.launch(stream(1)).ok());
    EXPECT_TRUE(kit_->ends(stream(1), kLong)) << "another slice is held up";
    ASSERT_TRUE(nowhere.launch(stream(2)).ok());
    EXPECT_TRUE(kit_->ends(stream(2), kLong)) << "what is in no slice finds room elsewhere";
    ASSERT_TRUE(inside.launch(stream(3)).ok());
    EXPECT_FALSE(kit_->ends(stream(3), milliseconds(100))) << "it ran outside its slice, which is full";
    kit_->open(hold);
    EXPECT_TRUE(kit_->ends(stream(3), kLong));
  }

  static constexpr std::size_t kStreams = CardKit::kStreams;
  static constexpr milliseconds kLong = CardKit::kLong;

  std::shared_ptr<Gpu> gpu_;
};

TEST_F(IsolationTest, AtomsAreDisjointAndSlicesAreTheirUnions) {
  std::set<unsigned> all;
  std::size_t count = 0;
  for (std::uint16_t atom = 0; atom < shape().atoms(); ++atom) {
    EXPECT_EQ(kit_->probes().sms()[atom].size(), shape().processors[atom]) << atom;
    all.insert(kit_->probes().sms()[atom].begin(), kit_->probes().sms()[atom].end());
    count += kit_->probes().sms()[atom].size();
  }
  EXPECT_EQ(all.size(), count) << "two atoms share a processor";
  EXPECT_EQ(kit_->probes().kernels().sms_of(gpu_->context()), all) << "some processors are in no atom";
  for (const Slice& slice : shape().ladder) {
    std::set<unsigned> expected;
    for (std::uint16_t atom = slice.first; atom < slice.end(); ++atom) {
      expected.insert(kit_->probes().sms()[atom].begin(), kit_->probes().sms()[atom].end());
    }
    EXPECT_EQ(kit_->probes().kernels().sms_of(context(slice)), expected) << slice.first << "+" << slice.count;
  }
}

TEST_F(IsolationTest, AKernelKeepsToItsSlice) {
  expect_confined(kit_->captured([&](CUstream on) {
    return driver().launch_kernel(probe("nothing"), 4, 1, 1, kFullBlock, 1, 1, 0, on, nullptr, nullptr);
  }));
}

TEST_F(IsolationTest, AMemsetKeepsToItsSlice) {
  expect_confined(kit_->captured([&](CUstream on) { return driver().memset_d8_async(memory(), 1, kBytes, on); }));
}

TEST_F(IsolationTest, ACopyKeepsToItsSlice) {
  expect_confined(
      kit_->captured([&](CUstream on) { return driver().memcpy_dtod_async(memory() + kBytes, memory(), kBytes, on); }));
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
  const std::vector<Move> gathers{{from, memory(), size, kCopy}};
  const std::vector<Move> scatters{{memory(), from + size, size, kCopy}};
  write_control(control.as<std::byte>(), 0, 0, gathers, scatters);
  const auto at = reinterpret_cast<CUdeviceptr>(control.as<std::byte>());
  const OwnedGraph source = kit_->all_kinds_of_nodes();
  ASSERT_TRUE((*kernels)->frame(source.get(), at, region->base(), {size}, {size}).ok());
  expect_confined(source);
}

// Work queues and whatever else slices share unseen: nothing in a held slice may hold up another one, nor may what
// waits behind it.
TEST_F(IsolationTest, EveryAtomGoesOnWhileAllOthersAreFullAndAwaited) {
  const std::uint16_t atoms = shape().atoms();
  ASSERT_LT(atoms, kStreams - 1);
  const OwnedGraph source = kit_->all_kinds_of_nodes();
  std::vector<Hold> holds;
  std::vector<HomedGraph> pings;
  for (std::uint16_t atom = 0; atom < atoms; ++atom) {
    holds.push_back(kit_->make_hold({atom, 1}));
    pings.push_back(kit_->homed(source.get(), context({atom, 1})));
  }
  CUevent event = nullptr;
  ASSERT_EQ(driver().event_create(&event, CU_EVENT_DISABLE_TIMING), CUDA_SUCCESS);
  const OwnedEvent owned(driver(), event);
  for (std::uint16_t free = 0; free < atoms; ++free) {
    for (std::uint16_t atom = 0; atom < atoms; ++atom) {
      if (atom == free) {
        continue;
      }
      kit_->start(holds[atom], stream(atom));
      if (const std::size_t waiter = std::size_t{atoms} + atom; waiter < kStreams - 1) {
        ASSERT_EQ(driver().event_record(event, stream(atom)), CUDA_SUCCESS);
        ASSERT_EQ(driver().stream_wait_event(stream(waiter), event, 0), CUDA_SUCCESS);
        ASSERT_TRUE(pings[atom].launch(stream(waiter)).ok());
      }
    }
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE(pings[free].launch(stream(free)).ok());
      EXPECT_TRUE(kit_->ends(stream(free), kLong)) << "atom " << free;
    }
    for (const Hold& hold : holds) {
      kit_->open(hold);
    }
    for (std::size_t i = 0; i < kStreams; ++i) {
      EXPECT_TRUE(kit_->ends(stream(i), kLong));
    }
  }
}

TEST_F(IsolationTest, AFullSliceHoldsUpNoDisjointOne) {
  const OwnedGraph source = kit_->all_kinds_of_nodes();
  std::vector<Hold> holds;
  std::vector<HomedGraph> pings;
  for (const Slice& slice : shape().ladder) {
    holds.push_back(kit_->make_hold(slice));
    pings.push_back(kit_->homed(source.get(), context(slice)));
  }
  for (std::size_t full = 0; full < holds.size(); ++full) {
    kit_->start(holds[full], stream(0));
    for (std::size_t free = 0; free < pings.size(); ++free) {
      if (!shape().ladder[free].overlaps(shape().ladder[full])) {
        ASSERT_TRUE(pings[free].launch(stream(1)).ok());
        EXPECT_TRUE(kit_->ends(stream(1), kLong)) << full << " holds up " << free;
      }
    }
    kit_->open(holds[full]);
    EXPECT_TRUE(kit_->ends(stream(0), kLong));
  }
}

TEST_F(IsolationTest, TheAuditKnowsTheNodes) {
  const auto found = audit(*gpu_, kit_->probes().source(), shape().processors.front());
  ASSERT_TRUE(found.ok()) << found.error().message();
  EXPECT_EQ(found->kernels, 2U);
  EXPECT_EQ(found->memsets, 1U);
  EXPECT_EQ(found->copies, 1U);
}

}  // namespace
}  // namespace tessera::device::contract
