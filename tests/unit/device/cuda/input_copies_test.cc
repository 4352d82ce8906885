// Inputs that go to the card ahead of their launch, over a driver in memory: who waits for what there, and where the
// bytes are.
#include "device/cuda/input_copies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <thread>
#include <vector>

#include "device/cuda/cuda_device.h"
#include "device/cuda/cuda_plan.h"
#include "tests/support/cuda/fake_cuda.h"
#include "tests/unit/device/cuda/sink.h"

namespace tessera::device {
namespace {

using test::FakeCuda;
using test::Sink;

constexpr std::size_t kInput = 100'000;

// Carries its input from the slot on the card to a buffer there.
class ReadPlan final : public CudaPlan {
 public:
  ReadPlan(const CudaDevice& device, const Driver& driver) : device_(device), driver_(driver) {
    static_cast<void>(driver_.mem_alloc(&buffer_, kInput));
  }
  ~ReadPlan() override { static_cast<void>(driver_.mem_free(buffer_)); }
  ReadPlan(const ReadPlan&) = delete;
  ReadPlan& operator=(const ReadPlan&) = delete;

  Status enqueue(const Slice&, const LaunchQueue& queue, Batch& batch) const override {
    const auto part = batch.inputs.at(0).parts.at(0);
    const auto slot = device_.slot_of(part);
    return slot ? driver_.check(driver_.memcpy_dtod_async(buffer_, *slot, part.size(), queue.run), "read a slot")
                : internal_error("no slot");
  }
  Status finish(const Slice&, Batch&) const override { return ok_status(); }
  std::span<const std::byte> seen() const { return {reinterpret_cast<const std::byte*>(buffer_), kInput}; }

 private:
  const CudaDevice& device_;
  const Driver& driver_;
  CUdeviceptr buffer_ = 0;
};

class InputCopiesTest : public testing::Test {
 protected:
  InputCopiesTest() {
    auto gpu = Gpu::open(driver_, 0);
    EXPECT_TRUE(gpu.ok());
    gpu_ = *gpu;
    CudaOptions options;
    options.streams = 4;
    options.staging = {.total = {8 << 20}, .largest = {4 << 20}};
    device_ = *make_cuda_device(gpu_, options);
    device_->set_sink(sink_);
    plan_ = std::make_unique<ReadPlan>(*device_, driver_);
    block_ = *device_->staging().lease({2 * kInput});
    batch_.rows = batch_.bucket = 1;
    batch_.inputs.push_back({.dtype = DType::kUint8, .row_shape = {kInput}, .parts = {input(0)}, .copied = {true}});
  }
  ~InputCopiesTest() override { cuda_.hold_copies(false); }

  std::span<std::byte> input(std::size_t number) { return block_->bytes().subspan(number * kInput, kInput); }
  void fill(std::span<std::byte> bytes, int value) { std::memset(bytes.data(), value, bytes.size()); }
  bool saw(int value) const {
    const auto seen = plan_->seen();
    return std::all_of(seen.begin(), seen.end(), [&](std::byte byte) { return std::to_integer<int>(byte) == value; });
  }
  Result<Started> launch(std::uint64_t id, CopyId after) {
    return device_->launch({.id = {id}, .slice = {0, 1}, .plan = plan_.get(), .batch = &batch_, .after_copy = after});
  }
  static void a_while() { std::this_thread::sleep_for(std::chrono::milliseconds(5)); }

  FakeCuda cuda_;
  const Driver driver_ = FakeCuda::table();
  std::shared_ptr<Gpu> gpu_;
  Sink sink_;
  std::unique_ptr<CudaDevice> device_;
  std::unique_ptr<ReadPlan> plan_;
  std::unique_ptr<StagingBlock> block_;
  Batch batch_;
};

TEST_F(InputCopiesTest, ALaunchQueuedBeforeItsCopyHasEndedReadsWhatWasCopied) {
  cuda_.hold_copies(true);
  fill(input(0), 7);
  ASSERT_TRUE(device_->copy({.id = {1}, .bytes = input(0)}).ok());
  ASSERT_TRUE(launch(1, {1}).ok());
  a_while();
  EXPECT_EQ(sink_.launches(), 0U) << "it did not wait for its input";
  EXPECT_EQ(sink_.copies(), 0U) << "its end was told before it was there";
  cuda_.hold_copies(false);
  EXPECT_TRUE(sink_.wait_for_launches(1)[0].status.ok());
  EXPECT_EQ(sink_.wait_for_copies(1)[0].id, CopyId{1});
  EXPECT_TRUE(saw(7));
}

TEST_F(InputCopiesTest, OthersCopiesHoldNobodyUp) {
  fill(input(0), 3);
  ASSERT_TRUE(device_->copy({.id = {1}, .bytes = input(0)}).ok());
  sink_.wait_for_copies(1);
  cuda_.hold_copies(true);
  ASSERT_TRUE(device_->copy({.id = {2}, .bytes = input(1)}).ok());
  ASSERT_TRUE(launch(1, {1}).ok());
  EXPECT_TRUE(sink_.wait_for_launches(1)[0].status.ok());
  EXPECT_TRUE(saw(3));
}

TEST_F(InputCopiesTest, ThoseBeforeTheNamedCopyAreWaitedForToo) {
  cuda_.hold_copies(true);
  fill(block_->bytes(), 9);
  ASSERT_TRUE(device_->copy({.id = {1}, .bytes = input(0).first(kInput / 2)}).ok());
  ASSERT_TRUE(device_->copy({.id = {2}, .bytes = input(0).subspan(kInput / 2)}).ok());
  ASSERT_TRUE(launch(1, {2}).ok());
  a_while();
  EXPECT_EQ(sink_.launches(), 0U);
  cuda_.hold_copies(false);
  EXPECT_TRUE(sink_.wait_for_launches(1)[0].status.ok());
  EXPECT_TRUE(saw(9));
}

TEST_F(InputCopiesTest, SlotsLieAsTheirBlocksDo) {
  const auto first = device_->slot_of(input(0));
  ASSERT_TRUE(first);
  EXPECT_EQ(device_->slot_of(input(1)), *first + kInput);
  const auto other = *device_->staging().lease({kInput});
  EXPECT_EQ(device_->slot_of(other->bytes()),
            *first + static_cast<CUdeviceptr>(other->bytes().data() - input(0).data()));
  const std::vector<std::byte> elsewhere(kInput);
  EXPECT_FALSE(device_->slot_of(elsewhere));
  EXPECT_FALSE(device_->can_copy(elsewhere));
  EXPECT_EQ(device_->copy({.id = {1}, .bytes = elsewhere}).error().code(), ErrorCode::kInvalidArgument);
}

TEST_F(InputCopiesTest, OutstandingCopiesAreBounded) {
  cuda_.hold_copies(true);
  std::uint64_t id = 0;
  Status begun = ok_status();
  while (begun.ok() && id < 100) {
    begun = device_->copy({.id = {++id}, .bytes = input(0)});
  }
  EXPECT_EQ(id, LaunchOrder::kMaxCopies + 1);
  EXPECT_EQ(begun.error().code(), ErrorCode::kResourceExhausted);
  cuda_.hold_copies(false);
  sink_.wait_for_copies(LaunchOrder::kMaxCopies);
  EXPECT_TRUE(device_->copy({.id = {++id}, .bytes = input(0)}).ok());
}

TEST_F(InputCopiesTest, ACopyThatTheDriverDoesNotTakeLosesTheDevice) {
  cuda_.fail("cuMemcpyHtoDAsync", CUDA_ERROR_LAUNCH_FAILED);
  EXPECT_EQ(device_->copy({.id = {1}, .bytes = input(0)}).error().code(), ErrorCode::kDeviceLost);
  sink_.wait_for_downs(1);
  EXPECT_EQ(launch(1, {1}).error().code(), ErrorCode::kDeviceLost);
}

TEST_F(InputCopiesTest, ALostDeviceEndsItsCopiesWithAnError) {
  cuda_.hold_copies(true);
  ASSERT_TRUE(device_->copy({.id = {1}, .bytes = input(0)}).ok());
  ASSERT_TRUE(launch(1, {1}).ok());
  cuda_.break_down(CUDA_ERROR_ECC_UNCORRECTABLE);
  sink_.wait_for_downs(1);
  EXPECT_EQ(sink_.wait_for_copies(1)[0].status.error().code(), ErrorCode::kDeviceLost);
  EXPECT_EQ(sink_.wait_for_launches(1)[0].status.error().code(), ErrorCode::kDeviceLost);
}

TEST(InputCopiesOptions, ADeviceMayBeToldToMakeNone) {
  const FakeCuda cuda;
  const auto gpu = *Gpu::open(FakeCuda::table(), 0);
  CudaOptions options;
  options.staging = {.total = {8 << 20}, .largest = {4 << 20}};
  options.copies = 0;
  const auto device = *make_cuda_device(gpu, options);
  EXPECT_EQ(device->shape().copies, 0);
  EXPECT_EQ(cuda.count("cuMemCreate"), 0U);
  const auto block = *device->staging().lease({kInput});
  EXPECT_FALSE(device->can_copy(block->bytes()));
  EXPECT_EQ(device->copy({.id = {1}, .bytes = block->bytes()}).error().code(), ErrorCode::kUnsupported);
  options.copies = LaunchOrder::kMaxCopies + 1;
  EXPECT_EQ(make_cuda_device(gpu, options).error().code(), ErrorCode::kInvalidArgument);
}

TEST(InputCopiesOptions, ACardWithoutRoomForTheSlabSaysSo) {
  FakeCuda cuda(FakeCuda::Options{.memory = 4 << 20});
  const auto gpu = *Gpu::open(FakeCuda::table(), 0);
  CudaOptions options;
  options.staging = {.total = {8 << 20}, .largest = {4 << 20}};
  const auto device = make_cuda_device(gpu, options);
  ASSERT_FALSE(device.ok());
  EXPECT_EQ(device.error().code(), ErrorCode::kOutOfMemory);
  EXPECT_NE(device.error().message().find("has no more memory"), std::string::npos);
}

}  // namespace
}  // namespace tessera::device
